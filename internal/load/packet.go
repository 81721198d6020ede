//go:build linux

package load

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// packet handles one Engine.IO packet of the server.
func (w *worker) packet(c *client, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	switch p[0] {
	case '0':
		return w.opened(c, p[1:])
	case '1':
		return errors.New("engine closed by the server")
	case '2': // Engine.IO 4: the server's ping
		w.send(c, []byte("3"))
	case '4':
		return w.message(c, p[1:])
	}
	return nil
}

// opened handles the open packet. Socket.IO 2.x is in "/" without asking.
func (w *worker) opened(c *client, data []byte) error {
	var handshake struct {
		SID          string `json:"sid"`
		PingInterval int64  `json:"pingInterval"` // ms
	}
	if err := json.Unmarshal(data, &handshake); err != nil || handshake.SID == "" {
		return fmt.Errorf("open packet %.80q", data)
	}
	c.opened = true
	if w.g.o.Transport == Polling {
		c.sid = handshake.SID
	}
	if w.g.o.EIO == 3 {
		w.pingEvery(c, c.began, max(handshake.PingInterval, 1)*int64(time.Millisecond))
		return nil
	}
	w.send(c, []byte("40"), w.connectObject(c))
	return nil
}

// pingEvery sends the pings of Engine.IO 3, for as long as the connection that began at a time lasts.
func (w *worker) pingEvery(c *client, began, interval int64) {
	w.at(w.now+interval, func(w *worker) {
		if c.stage != clientClosed && c.began == began {
			w.send(c, []byte("2"))
			w.pingEvery(c, began, interval)
		}
	})
}

// quoted is a text in JSON.
func quoted(text string) []byte {
	b, _ := json.Marshal(text) // a text never fails
	return b
}

// connectObject is what CONNECT carries.
func (w *worker) connectObject(c *client) []byte {
	members := w.g.connect
	if c.session != nil && c.session.pid != "" {
		members = bytes.Clone(members)
		if len(members) > 0 {
			members = append(members, ',')
		}
		members = fmt.Appendf(members, `"pid":%q,"offset":%q`, c.session.pid, c.session.offset)
	}
	if len(members) == 0 {
		return nil
	}
	return append(append([]byte{'{'}, members...), '}')
}

// message handles one Socket.IO packet of the namespace "/".
func (w *worker) message(c *client, p []byte) error {
	if len(p) == 0 {
		return errors.New("an empty message")
	}
	switch p[0] {
	case '0':
		if c.stage == clientConnecting {
			c.stage, c.answered = clientReady, w.now
			c.session.answered(p[1:])
			w.handshake.add(w.now - c.began)
			w.scenario.connected(c)
		}
	case '1':
		return errors.New("disconnected by the server")
	case '2':
		if i := bytes.IndexByte(p, '['); i > 0 {
			w.scenario.event(c, p[i:])
		}
	case '3':
		digits := 1
		for digits < len(p) && p[digits] >= '0' && p[digits] <= '9' {
			digits++
		}
		id, _ := strconv.Atoi(string(p[1:digits]))
		w.scenario.ack(c, id, p[digits:])
	case '4':
		return fmt.Errorf("refused: %.80s", p[1:])
	}
	return nil
}

// answered remembers the session that a CONNECT answer names, as the official client does.
func (s *session) answered(data []byte) {
	if s == nil {
		return
	}
	var answer struct {
		PID string `json:"pid"`
	}
	_ = json.Unmarshal(data, &answer) // then there is none
	s.recovered = answer.PID != "" && answer.PID == s.pid
	s.pid = answer.PID
}

// received remembers the offset of an event: its last argument, if that is a text and the session has an id.
func (s *session) received(data []byte) {
	if s.pid == "" || !bytes.HasSuffix(data, []byte(`"]`)) {
		return
	}
	text := data[:len(data)-len(`"]`)]
	if i := bytes.LastIndexByte(text, '"'); i >= 0 && string(text[i+1:]) != s.offset {
		s.offset = string(text[i+1:])
	}
}

// send queues one packet, given in pieces.
func (w *worker) send(c *client, pieces ...[]byte) {
	if c.stage == clientClosed {
		return
	}
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	if w.g.o.Transport == Polling {
		w.queue(c, n, pieces)
		return
	}
	s := c.s
	s.out = append(s.out, 0x81)
	switch {
	case n < 126:
		s.out = append(s.out, 0x80|byte(n))
	case n < 65536:
		s.out = append(s.out, 0x80|126, byte(n>>8), byte(n))
	default:
		s.out = append(s.out, 0x80|127)
		s.out = binary.BigEndian.AppendUint64(s.out, uint64(n))
	}
	w.mask = w.mask*1664525 + 1013904223
	s.out = binary.LittleEndian.AppendUint32(s.out, w.mask)
	i := len(s.out)
	for _, p := range pieces {
		s.out = append(s.out, p...)
	}
	xorMask(s.out[i:], w.mask)
	w.mark(s)
}

func xorMask(b []byte, mask uint32) {
	for wide := uint64(mask)<<32 | uint64(mask); len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^wide)
	}
	for i := range b {
		b[i] ^= byte(mask >> (8 * uint(i&3)))
	}
}
