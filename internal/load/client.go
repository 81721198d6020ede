//go:build linux

package load

import (
	"errors"
)

// Stages of a client.
const (
	clientConnecting = iota
	clientReady      // the namespace has answered CONNECT
	clientClosed
)

// client is one Socket.IO client.
type client struct {
	w       *worker
	id      int
	target  int
	stage   uint8
	role    uint8 // of the scenario
	opened  bool  // the server's open packet has come
	ramping bool  // in its handshake, and counted among those under way
	tries   uint8
	s       *socket // the WebSocket, or the one for polls
	post    *socket // polling: the one for POSTs
	sid     string  // polling: of the session
	queued  []byte  // polling: packets that no POST has taken yet
	session *session

	began, answered, ready int64 // when the handshake began, CONNECT was answered, the handshake ended

	// Of the scenario.
	room  int32
	count int
	last  []uint32
	slots []int64
	away  *away
}

// session is what a client that wants to be recovered remembers.
type session struct {
	pid, offset string
	recovered   bool // by the last CONNECT answer
}

// ramp begins handshakes of clients, at most atOnce at a time.
func (w *worker) ramp(clients []*client, atOnce int) {
	w.waiting = append(w.waiting, clients...)
	w.atOnce = atOnce
	w.pump()
}

// pump begins handshakes that may begin. One that fails at once calls it again, inside itself; and so that many of them do not keep
// the worker from all else, the rest waits for another turn.
func (w *worker) pump() {
	if w.pumping {
		return
	}
	w.pumping = true
	defer func() { w.pumping = false }()
	const turn = 1000
	for range turn {
		if w.ending || len(w.waiting) == 0 || len(w.underway) >= w.atOnce {
			return
		}
		c := w.waiting[0]
		w.waiting = w.waiting[1:]
		w.open(c)
	}
	w.post((*worker).pump)
}

// open begins the handshake of c.
func (w *worker) open(c *client) {
	c.stage, c.ramping, c.opened, c.sid, c.queued = clientConnecting, true, false, "", c.queued[:0]
	c.began = now()
	w.underway[c] = struct{}{}
	kind := uint8(kindWebSocket)
	if w.g.o.Transport == Polling {
		kind = kindGet
	}
	s, err := w.dial(c, kind)
	c.s = s
	if err != nil {
		w.fail(c, err)
		return
	}
	if kind == kindGet {
		w.poll(c)
		return
	}
	t := &w.g.targets[c.target]
	s.out = append(s.out, "GET "...)
	s.out = append(s.out, t.request...)
	s.out = append(s.out, " HTTP/1.1\r\nHost: "...)
	s.out = append(s.out, t.host...)
	s.out = append(s.out, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: Y2FyaWxsb24gbG9hZCAwMQ==\r\nSec-WebSocket-Version: 13\r\n"...)
	if w.g.o.Deflate {
		s.out = append(s.out, deflateOffer...)
	}
	s.out = append(s.out, "\r\n"...)
	w.mark(s)
}

// settled ends the handshake of c, which includes the scenario's joins.
func (w *worker) settled(c *client) {
	if !c.ramping {
		return
	}
	c.ramping = false
	delete(w.underway, c)
	c.ready = w.now
	w.ready.Add(1)
	w.pump()
}

// drop closes c's connections without calling the scenario.
func (w *worker) drop(c *client, reset bool) {
	w.closeSocket(c.s, reset)
	w.closeSocket(c.post, reset)
	c.stage = clientClosed
	if c.ramping {
		c.ramping = false
		delete(w.underway, c)
	}
}

// fail ends c because of err; a handshake is tried again.
func (w *worker) fail(c *client, err error) {
	if c.stage == clientClosed {
		return
	}
	ramping := c.ramping
	w.drop(c, false)
	if !ramping {
		w.g.note(err.Error())
		w.scenario.closed(c, err)
		return
	}
	w.g.note("handshake: " + err.Error())
	if int(c.tries) < w.retries {
		c.tries++
		w.retried.Add(1)
		w.waiting = append(w.waiting, c)
	} else {
		w.failed.Add(1)
		w.scenario.closed(c, err)
	}
	w.pump()
}

// progress says in words how far a handshake has come.
func (c *client) progress() string {
	switch {
	case c.stage == clientReady:
		return "waiting for the acknowledgement of a join"
	case c.opened:
		return "waiting for the namespace's answer"
	case c.s == nil:
		return "waiting to begin"
	}
	return "waiting for " + [...]string{"TCP", "TLS", "the upgrade", "the open packet", "nothing"}[c.s.state]
}

var errClosed = errors.New("closed by the server")
