package engine

import (
	"fmt"
	"runtime/debug"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/frame"
	"go.uber.org/zap"
)

// Handler opens sessions.
type Handler interface {
	// Open is called once for each session, before its first message; the handshake has been answered or is about to
	// be. It may call Send and Close on the session. It must not block, and must not return nil.
	Open(s *Session) Receiver
}

// Receiver receives what one session's client sends. Calls for one session never overlap.
type Receiver interface {
	// Message hands over one message. data is valid until Message returns. While it blocks, nothing more is read from
	// this client, whose silence is not held against it; but a client of revision 3, which is not answered either, leaves
	// after the two intervals of the heartbeat.
	Message(data []byte, binary bool)
	// Closed is called once, after the last Message, never from inside Send or Close.
	Closed(reason CloseReason)
}

// All calls of the application's code are in this file. A panic in it ends the one session, not the process: it is counted
// and logged.

// callOpen makes the session known to its handler.
func (s *Session) callOpen(h Handler) {
	s.receiver = deaf{}
	defer s.recovered()
	s.receiver = h.Open(s)
}

// callMessage hands over one message; the caller holds inbound.
func (s *Session) callMessage(p eioproto.Packet) {
	defer s.recovered()
	s.receiver.Message(p.Data, p.Binary)
}

// callClosed calls Closed; the caller holds inbound.
func (s *Session) callClosed() {
	defer s.recovered()
	s.receiver.Closed(s.reason)
}

// recovered turns a panic into the end of the session.
func (s *Session) recovered() {
	v := recover()
	if v == nil {
		return
	}
	s.server.metrics.panics.Inc()
	s.server.config.Logger.Error("panic in a receiver",
		zap.String("panic", fmt.Sprint(v)), zap.ByteString("stack", debug.Stack()))
	s.end(ForcedClose, cause("the receiver panicked"))
}

// deaf stands in for the receiver of a handler that panicked instead of returning one.
type deaf struct{}

func (deaf) Message([]byte, bool) {}
func (deaf) Closed(CloseReason)   {}

// receive handles one packet from the client; the caller holds inbound. It reports whether the session goes on.
func (s *Session) receive(p eioproto.Packet) bool {
	s.server.metrics.received(p.Type)
	s.mu.Lock()
	if s.state == stateClosed {
		s.mu.Unlock()
		return false
	}
	if p.Type != eioproto.Pong {
		s.otherTrafficLocked()
	}
	deliver := false
	switch p.Type {
	case eioproto.Close:
		s.endLocked(TransportClose, cause("the client sent a close packet"))
	case eioproto.Ping:
		s.receivePingLocked()
	case eioproto.Pong:
		s.receivePongLocked()
	case eioproto.Message:
		deliver = s.state == stateOpen
	}
	if deliver {
		s.blockLocked()
	}
	alive := s.state != stateClosed
	s.mu.Unlock()
	if !deliver {
		return alive
	}

	s.callMessage(p)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.unblockLocked()
	return s.state != stateClosed
}

// receivePingLocked answers a revision 3 client. In revision 4 only servers ping.
func (s *Session) receivePingLocked() {
	switch {
	case s.state != stateOpen:
	case s.codec.Revision == 4:
		s.endLocked(TransportError, cause("a ping from a client of revision 4"))
	default:
		s.setDueLocked(s.silenceLocked())
		s.queueLocked(frame.Pong)
	}
}

func (s *Session) receivePongLocked() {
	switch {
	case s.state != stateOpen:
	case s.codec.Revision == 3:
		s.endLocked(TransportError, cause("a pong from a client of revision 3"))
	default:
		s.beat.provedLocked()
		s.pongLocked()
		s.answeredLocked()
	}
}
