package engine

import (
	"net/http"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/frame"
)

// A panic of the application's code ends the one session, not the process: it is counted and logged, see recovered in end.go.

// enter counts a session in that r asks for and has h open it, or says why that cannot be. result is what the handshake counts as.
func (s *Session) enter(r *http.Request, h Handler) (refusal *Refusal, result string) {
	if refusal, result = s.admit(r); refusal != nil {
		return refusal, result
	}
	if !s.open(h) {
		s.discharge()
		return faultUnavailable, resultUnavailable
	}
	return nil, resultOK
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
		last := s.beat.provedLocked()
		s.pongLocked()
		if last {
			s.answeredLocked()
		}
	}
}
