package engine

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/flush"
	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/outbox"
	"github.com/carillon-io/carillon/internal/wsconn"
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

	server *host                // static after construction
	link   flush.Link[*Session] // the flushers guard it

	// mu guards the following. It is held for state changes only, never across a write or a call into another package
	// that could wait.
	mu        sync.Mutex
	state     state
	lease     lease
	tombstone bool // closed by the client, and one late GET may still be answered
	returns   bool // SendAway was called: the client is to come back
	outbox    outbox.Outbox[*frame.Frame]
	socket    *wsconn.Conn // the transport; nil while polling
	pong      *frame.Frame // the newest one that the client of a WebSocket is owed; nil: none
	slow      *slowness    // nil: no more than Config.Outbox waits
	beat      heartbeat
	polling   *longPolling // nil for a session that began on a WebSocket
	closing   *closing     // of a WebSocket in stateClosing
	reason    CloseReason
	done      chan struct{} // of Done; nil until it is asked for
	asked     *asked        // nil: neither Ping nor AwaitRoom waits for something
	held      int           // bytes that count towards Limits.Inbound until the session ends

	// inbound is held while Receiver is called: by the POST handler, the WebSocket reader or endTransport. It is taken with
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
func (s *Session) init(server *host, c frame.Codec, r *http.Request) {
	s.server = server
	s.id = newID(server.config.Tag())
	s.codec = c
	address, secure := server.config.client(r)
	s.request = keep(r, address, secure)
	s.context = server.config.keptContext(r)
	s.opened = server.now()
	s.held = s.request.size()
}

// open makes a session known and has h open it; false when the server has been closed. For a WebSocket handshake
// the caller has set socket and queued the open packet.
func (s *Session) open(h Handler) bool {
	s.inbound.Lock()
	defer s.inbound.Unlock()
	if !s.server.table.put(s.id, s, func() { s.server.opened(s.transportLocked(), s.socket != nil) }) {
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

// ended reports whether the session has ended: the table keeps such a one for a late GET and for nothing else.
func (s *Session) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == stateClosed
}

// Handshake describes the request that opened the session.
func (s *Session) Handshake() Handshake {
	h := s.request.parse()
	h.Time = s.server.epoch.Add(s.opened)
	return h
}

// Context returns a context with the values that Config.Context kept of the session's first request. It is cancelled when
// the session has ended.
func (s *Session) Context() context.Context { return sessionContext{s.context, s} }

// sessionContext has the values of one context and the life of a session.
type sessionContext struct {
	context.Context
	session *Session
}

func (c sessionContext) Done() <-chan struct{} { return c.session.Done() }

func (c sessionContext) Err() error {
	if c.session.ended() {
		return context.Canceled
	}
	return nil
}
