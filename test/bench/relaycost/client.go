package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/gorilla/websocket"
)

// client is one Socket.IO client of namespace "/" on a WebSocket that it has upgraded to.
type client struct{ conn *websocket.Conn }

type clients []*client

// connectAll opens sessions at owner whose WebSockets go through another node, or the same.
func connectAll(owner, through *node, n int) (clients, error) {
	all := make(clients, n)
	errs := make([]error, n)
	var opening sync.WaitGroup
	slots := make(chan struct{}, 32)
	for i := range all {
		slots <- struct{}{}
		opening.Go(func() {
			all[i], errs[i] = connect(owner, through)
			<-slots
		})
	}
	opening.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func connect(owner, through *node) (*client, error) {
	const query = "/socket.io/?EIO=4&transport="
	response, err := http.Get("http://" + owner.address + query + "polling")
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // read whole
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(string(body), `"sid":"`)
	sid, _, found := strings.Cut(rest, `"`)
	if !found {
		return nil, fmt.Errorf("handshake: %s", body)
	}
	dialer := websocket.Dialer{ReadBufferSize: 512, WriteBufferSize: 512}
	conn, _, err := dialer.Dial("ws://"+through.address+query+"websocket&sid="+sid, nil)
	if err != nil {
		return nil, err
	}
	c := &client{conn}
	for _, step := range []struct{ say, hear string }{{"2probe", "3probe"}, {"5", ""}, {"40", "40{"}} {
		if err := c.exchange(step.say, step.hear); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// exchange says something, and reads an answer that begins with hear; none when that is empty.
func (c *client) exchange(say, hear string) error {
	if err := c.conn.WriteMessage(websocket.TextMessage, []byte(say)); err != nil || hear == "" {
		return err
	}
	_, data, err := c.conn.ReadMessage()
	if err == nil && !bytes.HasPrefix(data, []byte(hear)) {
		err = fmt.Errorf("%s was answered %q", say, data)
	}
	return err
}

// echo sends an event of about 100 bytes and waits for its acknowledgement.
func (c *client) echo() error {
	return c.exchange(`420["echo","0123456789012345678901234567890123456789012345678901234567890123456789"]`, "430[")
}

func (cs clients) close() {
	for _, c := range cs {
		_ = c.conn.Close() // what was measured has been
	}
}
