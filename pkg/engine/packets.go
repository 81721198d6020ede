package engine

import "github.com/carillon-io/carillon/internal/eioproto"

// receive takes one packet from the client; the caller holds inbound. It reports whether the session goes on.
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
	case s.codec.revision == 4:
		s.endLocked(TransportError, cause("a ping from a client of revision 4"))
	default:
		s.setDueLocked(s.silenceLocked())
		s.queueLocked(framePong)
	}
}

func (s *Session) receivePongLocked() {
	switch {
	case s.state != stateOpen:
	case s.codec.revision == 3:
		s.endLocked(TransportError, cause("a pong from a client of revision 3"))
	default:
		s.beat.provedLocked()
		s.pongLocked()
		s.answeredLocked()
	}
}
