package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// client is one lean Socket.IO client.
type client struct {
	number      int
	ws          *websocket.Conn
	pid, offset string
	next        int // event
}

// outcome is what became of an order.
type outcome struct {
	recovered, fresh, lost, twice bool
	retries                       int
	wait                          time.Duration
	err                           error
}

const patience = 2 * time.Minute

var dialer = websocket.Dialer{ReadBufferSize: 512, WriteBufferSize: 512, HandshakeTimeout: patience}

func (c *client) dial(address string) error {
	ws, answer, err := dialer.Dial("ws://"+address+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		return err
	}
	_ = answer.Body.Close() // it has none
	c.ws = ws
	_, err = c.read("0")
	return err
}

func (c *client) read(begin string) (string, error) {
	_ = c.ws.SetReadDeadline(time.Now().Add(patience))
	for {
		_, data, err := c.ws.ReadMessage()
		if err != nil {
			return "", err
		}
		switch {
		case string(data) == "2":
			if err := c.ws.WriteMessage(websocket.TextMessage, []byte("3")); err != nil {
				return "", err
			}
		case bytes.HasPrefix(data, []byte(begin)):
			return string(data[len(begin):]), nil
		default:
			return "", fmt.Errorf("received %.100q, want %q", data, begin)
		}
	}
}

// enter sends CONNECT and returns whether the client has its session.
func (c *client) enter() (recovered bool, err error) {
	auth, _ := json.Marshal(map[string]string{"pid": c.pid, "offset": c.offset, "room": fmt.Sprint("room:", c.number%100)})
	if err := c.ws.WriteMessage(websocket.TextMessage, append([]byte("40"), auth...)); err != nil {
		return false, err
	}
	text, err := c.read("40")
	if err != nil {
		return false, err
	}
	var answer struct{ PID string }
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return false, err
	}
	recovered = answer.PID == c.pid
	c.pid = answer.PID
	return recovered, nil
}

func (c *client) connect(address string) outcome {
	if err := c.dial(address); err != nil {
		return outcome{err: err}
	}
	_, err := c.enter()
	return outcome{err: err}
}

func (c *client) cut() { _ = c.ws.NetConn().Close() }

// claim claims the session, on the connection that was opened for that and on others where it is closed.
func (c *client) claim(err error, address string, sent int) (o outcome) {
	began := time.Now()
	for {
		recovered := false
		if err == nil {
			recovered, err = c.enter()
		}
		var closed *websocket.CloseError
		switch {
		case err == nil && !recovered:
			o.fresh, c.offset, c.next = true, "", sent
			return o
		case err == nil:
			o.recovered = true
			e := c.expect(sent)
			o.lost, o.twice, o.err, o.wait = e.lost, e.twice, e.err, time.Since(began)
			return o
		case time.Since(began) > patience:
			o.err = err
			return o
		case c.ws != nil && !errors.As(err, &closed) && !strings.Contains(err.Error(), "reset"):
			o.err = err
			return o
		}
		o.retries++
		time.Sleep(time.Duration(500+c.number%500) * time.Millisecond) // as clients do
		err = c.dial(address)
	}
}

// comeBack waits until the connection ends, then claims the session.
func (c *client) comeBack(address string, sent int) outcome {
	for {
		e := c.expect(c.next + 1)
		if e.err != nil {
			_ = c.ws.Close()
			return c.claim(c.dial(address), address, sent)
		}
		if e.lost || e.twice {
			return e
		}
	}
}

// expect reads until the client has received as many events.
func (c *client) expect(sent int) (o outcome) {
	for c.next < sent {
		text, err := c.read(`42["e",`)
		if err != nil {
			return outcome{err: err}
		}
		var n int
		if _, err := fmt.Sscanf(text, "%d,", &n); err != nil {
			return outcome{err: err}
		}
		_, offset, _ := strings.Cut(text, `,"`)
		c.offset = strings.TrimSuffix(offset, `"]`)
		switch {
		case n > c.next:
			o.lost = true
		case n < c.next:
			o.twice = true
			continue
		}
		c.next = n + 1
	}
	return o
}
