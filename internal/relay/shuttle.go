package relay

import (
	"errors"
	"io"
	"net"
	"net/url"
	"sync/atomic"
	"time"
)

// shuttle copies a WebSocket's bytes between the client and the session's owner. While nothing arrives it has neither a
// goroutine nor a buffer.
type shuttle struct {
	// Static after construction.
	relay                 *Relay
	sid                   string
	peer                  *url.URL // of the owner
	client, owner         net.Conn
	fromClient, fromOwner half

	copying atomic.Int32 // halves that have not ended
	timer   *time.Timer  // set by fromOwner when it ends; the last half stops it
}

// closeGrace is how long a client may take to hang up once the owner has.
const closeGrace = 2 * time.Second

// start answers the client's upgrade and starts copying. early and first were read from the owner and the client behind
// their headers; the shuttle keeps them until they are written.
func (s *shuttle) start(answer, early, first []byte) {
	s.fromOwner.init(s, s.owner, s.client, s.relay.metrics.bytes[toClient])
	s.fromClient.init(s, s.client, s.owner, s.relay.metrics.bytes[toOwner])
	s.copying.Store(2)
	s.relay.metrics.sockets.Inc()
	s.relay.live.enter(s)
	if _, err := s.client.Write(answer); err != nil {
		s.cut()
	}
	go s.fromOwner.begin(early)
	go s.fromClient.begin(first)
}

// halfEnded ends the other half too, and with the last one the shuttle. When the owner has closed its side, as it does behind a
// Close frame, the client gets a moment to do so: closing a connection with unread input makes the kernel reset it, and the
// client would lose what it has not read yet.
func (s *shuttle) halfEnded(h *half, err error) {
	if half, ok := s.client.(interface{ CloseWrite() error }); ok && h == &s.fromOwner && errors.Is(err, io.EOF) {
		_ = half.CloseWrite() // a client that is gone is found by the other half
		s.timer = time.AfterFunc(closeGrace, s.cut)
	} else {
		s.cut()
	}
	if s.copying.Add(-1) > 0 {
		return
	}
	if s.timer != nil {
		s.timer.Stop()
	}
	s.relay.metrics.sockets.Dec()
	s.relay.live.leave(s)
}

// cut closes both connections, which ends both halves. Safe for concurrent use.
func (s *shuttle) cut() {
	_ = s.client.Close() // nothing is left to do about it
	_ = s.owner.Close()
	s.fromClient.Wake() // a poller does not report a descriptor that was closed here
	s.fromOwner.Wake()
}

func (l *live) enter(s *shuttle) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sockets == nil {
		l.sockets = make(map[*shuttle]struct{})
	}
	l.sockets[s] = struct{}{}
	if l.draining.Load() {
		s.cut() // the drain may have listed what passes through; a client whose upgrade fails so early goes on polling
	}
}

func (l *live) leave(s *shuttle) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sockets, s)
	select {
	case l.ended <- struct{}{}:
	default: // no drain waits, or it will look anyway
	}
}
