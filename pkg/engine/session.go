package engine

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/flush"
	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/outbox"
	"github.com/carillon-io/carillon/internal/polling"
	"github.com/carillon-io/carillon/internal/wsconn"
	"github.com/carillon-io/carillon/internal/wsframe"
)

// Times the protocol does not set.
const (
	// tombstone is how long a client that closed by POST may still fetch a noop with a GET that was on its way.
	tombstone = time.Second
	// volatileBytes is the outbox level from which volatile messages are dropped.
	volatileBytes = 64 << 10
	// volatilePoll is how long a polling client may be without a GET before volatile messages are dropped.
	volatilePoll = time.Second
)

type state uint8

const (
	stateOpen    state = iota
	stateClosing       // Close was called: the outbox is still being delivered, but nothing is received or queued
	stateClosed        // over; Receiver.Closed was called or is about to be
)

// lease is the right to take frames from the outbox and write them. One poll or one flush has it at a time.
type lease uint8

const (
	leaseNone lease = iota
	leasePoll
	leaseFlush
)

// Session is one client, whatever its transport. All methods are safe for concurrent use.
//
// A message is either in the outbox or with the one holder of the lease, so an upgrade can neither lose nor repeat it.
type Session struct {
	// What each message for the client needs comes first, and together: of thousands of sessions none is in the processor's cache.

	server *Server              // static after construction
	link   flush.Link[*Session] // the flushers guard it

	// mu guards the following. It is held for state changes only, never across a write or a call into another package
	// that could wait.
	mu        sync.Mutex
	state     state
	lease     lease
	tombstone bool // closed by the client, and one late GET may still be answered
	returns   bool // SendAway was called: the client is to come back
	outbox    outbox.Outbox[*Frame]
	socket    *wsconn.Conn // the transport; nil while polling
	pong      *Frame       // the newest one that the client of a WebSocket is owed; nil: none
	slow      *slowness    // nil: no more than Config.Outbox waits
	beat      heartbeat
	polling   *longPolling // nil for a session that began on a WebSocket
	closing   *closing     // of a WebSocket in stateClosing
	reason    CloseReason
	done      chan struct{} // of Done; nil until it is asked for
	asked     *asked        // nil: neither Ping nor AwaitRoom waits for something
	held      int           // bytes that count towards Limits.Inbound until the session ends

	// inbound is held while Receiver is called: by the POST handler, the WebSocket reader or finish. It is taken with
	// mu free, or by TryLock under mu.
	inbound sync.Mutex

	// Static after construction.
	receiver  Receiver
	id        string
	codec     frame.Codec // of the polling transport; a WebSocket has its own
	byAddress bool        // counted by address, too: static once admitted
	request   kept
	context   context.Context
	opened    time.Duration
}

// init fills in a session that r opens.
func (s *Session) init(server *Server, c frame.Codec, r *http.Request) {
	s.server = server
	s.id = newID(server.config.Tag())
	s.codec = c
	s.request = server.keep(r)
	s.context = server.keptContext(r)
	s.opened = server.now()
	s.held = s.request.size()
}

// open makes a session known and has h open it; false when the server has been closed. For a WebSocket handshake
// the caller has set socket and queued the open packet.
func (s *Session) open(h Handler) bool {
	s.inbound.Lock()
	defer s.inbound.Unlock()
	if !s.server.table.put(s, func() { s.server.opened(s) }) {
		return false
	}
	s.mu.Lock()
	if s.state == stateOpen {
		s.startHeartbeatLocked()
	}
	s.mu.Unlock()
	s.callOpen(h)
	return true
}

// ID is the session's id, twenty URL-safe characters: a secret between client and server.
func (s *Session) ID() string { return s.id }

// Revision is the Engine.IO protocol revision, 3 or 4, or 0 for a plain session.
func (s *Session) Revision() int { return int(s.codec.Revision) }

// Transport is the transport in use now: "polling" or "websocket", "native" for a plain WebSocket, "sse" for an event stream.
func (s *Session) Transport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transportLocked()
}

func (s *Session) transportLocked() string {
	switch {
	case s.streams():
		return transportStream
	case s.socket == nil:
		return transportPolling
	}
	return socketTransport(s.codec)
}

// Done returns a channel that is closed when the session has ended. A Receiver that blocks in Message should return then:
// its Closed is called after that, and Server.Close waits for it.
func (s *Session) Done() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		s.done = make(chan struct{})
		if s.state == stateClosed {
			close(s.done)
		}
	}
	return s.done
}

// Close flushes what is queued, then closes the transport. Only the first reason counts. A SlowConsumer is cut off at
// once: it would not take what is queued.
func (s *Session) Close(reason CloseReason) { s.close(reason, false, farewell{}) }

// CloseWith is Close where a WebSocket's Close frame has a code, of 1000, 1001, 1008, 1011 to 1013, or 4000 to 4999, and a
// text of up to 123 bytes.
func (s *Session) CloseWith(reason CloseReason, code int, text string) {
	s.close(reason, false, farewell{code: wsframe.CloseCode(code), text: text})
}

// SendAway is Close for a client that is to connect anew, elsewhere or later. Some clients take a close packet in a waiting
// GET, or a Close frame without a code, for a disconnect that is meant, and stay away, and one does not notice a Close frame: there
// is neither, and for that one no Close frame. A client in the middle of an upgrade finishes that first.
func (s *Session) SendAway(reason CloseReason) { s.close(reason, true, farewell{}) }

func (s *Session) close(reason CloseReason, returns bool, f farewell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeLocked(reason, returns, f)
}

func (s *Session) closeLocked(reason CloseReason, returns bool, f farewell) {
	if s.state != stateOpen {
		return
	}
	if reason == SlowConsumer {
		s.cutLocked(SlowConsumer, errClosed)
		return
	}
	if returns && s.pausedLocked() {
		if u := s.polling.upgrade; u.away == "" {
			u.away = reason
			u.timeout.Reset(min(upgradeGrace, s.server.config.UpgradeTimeout))
		}
		return
	}
	s.state, s.reason, s.slow, s.returns = stateClosing, reason, nil, returns
	s.polling.cutPost()
	if s.socket != nil {
		s.closeSocketLocked(f)
		s.kickLocked()
		return
	}
	if s.polling.seats.Taken() && s.lease == leaseNone {
		s.endLocked(reason, errClosed) // nothing is queued: it would have been sent
		return
	}
	s.setDueLocked(s.server.now() + closePoll)
}

// end ends the session gently: see the table in doc.go.
func (s *Session) end(why CloseReason, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(why, cause)
}

// cut ends the session and cuts its transport.
func (s *Session) cut(why CloseReason, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cutLocked(why, cause)
}

func (s *Session) endLocked(why CloseReason, cause error) { s.overLocked(why, cause, false) }
func (s *Session) cutLocked(why CloseReason, cause error) { s.overLocked(why, cause, true) }

// overLocked ends the session at once: what is queued is dropped, waiting GETs are answered, and Receiver.Closed will be
// called. A reason given to Close before stands. cause is what happened, for the log.
func (s *Session) overLocked(why CloseReason, cause error, cut bool) {
	if s.state == stateClosed {
		return
	}
	if s.state == stateOpen {
		s.reason = why
	}
	s.state = stateClosed
	if s.done != nil {
		close(s.done)
	}
	s.dropOutboxLocked()
	s.unansweredLocked()
	answer := func(g *polling.Get) { g.Answer(frame.Close) }
	switch {
	case why == TransportClose:
		answer = func(g *polling.Get) { g.Answer(frame.Noop) }
		s.tombstone = s.socket == nil && !s.polling.stream && !s.polling.seats.Waits()
	case s.toReturnLocked() && s.pausedLocked():
		answer = (*polling.Get).Refuse
	case s.toReturnLocked():
		answer = func(g *polling.Get) { g.Answer(frame.Noop) }
	}
	if s.polling != nil {
		s.polling.seats.Empty(answer)
	}
	if s.tombstone {
		s.setDueLocked(s.server.now() + tombstone)
	} else {
		s.disarmLocked()
		s.server.table.remove(s.id)
	}
	s.server.admission.discharge(s)
	s.server.closed(s.reason, s.transportLocked())
	go s.finish(cause, cut)
}

// toReturnLocked reports whether the session ends, or has ended, in a way that makes its client come back: it was sent
// away, or cut by a drain before its turn.
func (s *Session) toReturnLocked() bool {
	return s.state != stateOpen && (s.returns || s.reason == ShuttingDown && s.server.draining.Load())
}

// finish ends the transport and calls Receiver.Closed. It runs on its own goroutine: a broadcast that finds a slow
// consumer must not pay for the disconnect, and Closed waits for a Message that is still running.
func (s *Session) finish(cause error, cut bool) {
	defer s.server.running.Done()
	s.logEnd(cause)
	s.mu.Lock()
	socket, candidate := s.socket, (*upgrade)(nil)
	if p := s.polling; p != nil {
		p.cutPost()
		p.seats.Hurry(cut)
		if candidate = p.upgrade; candidate != nil {
			candidate.stop()
			p.upgrade = nil
		}
	}
	s.mu.Unlock()
	switch {
	case candidate == nil:
	case cut || s.server.draining.Load():
		candidate.conn.Cut() // it holds nothing that its client waits for, and may never answer a Close frame
	default:
		candidate.conn.End()
	}
	switch {
	case socket == nil:
	case cut:
		socket.Cut()
	default:
		socket.End()
	}
	s.inbound.Lock()
	defer s.inbound.Unlock()
	s.callClosed()
}
