package engine

import "time"

// asked is what the application wants to be told once. Session.mu guards it.
type asked struct {
	pongs []func(alive bool)
	late  *time.Timer // for the first of them
	room  func()
}

func (s *Session) askedLocked() *asked {
	if s.asked == nil {
		s.asked = new(asked)
	}
	return s.asked
}

// Ping sends a ping at once and calls answer once, on another goroutine: true when the client answers, false when it has
// not within the time, which ends the session as a ping timeout, or when the session has ended. A client of revision 3
// or of a stream cannot be asked; it counts as silent.
func (s *Session) Ping(within time.Duration, answer func(alive bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed {
		go answer(false)
		return
	}
	if s.state == stateClosing || s.codec.Revision == 3 || s.streams() {
		s.endLocked(PingTimeout, errSilent)
		go answer(false)
		return
	}
	a := s.askedLocked()
	a.pongs = append(a.pongs, answer)
	if a.late == nil {
		a.late = time.AfterFunc(within, s.silent)
	}
	s.sendPingLocked(s.server.now())
}

// silent ends a session whose client has not answered Ping.
func (s *Session) silent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked != nil && len(s.asked.pongs) > 0 {
		s.cutLocked(PingTimeout, errSilent)
	}
}

// answeredLocked tells those that have called Ping that the client lives.
func (s *Session) answeredLocked() { s.tellLocked(true) }

// unansweredLocked tells everything that waits that the session has ended.
func (s *Session) unansweredLocked() {
	s.tellLocked(false)
	if s.asked != nil && s.asked.room != nil {
		go s.asked.room()
	}
	s.asked = nil
}

func (s *Session) tellLocked(alive bool) {
	a := s.asked
	if a == nil || len(a.pongs) == 0 {
		return
	}
	a.late.Stop()
	for _, answer := range a.pongs {
		go answer(alive)
	}
	a.pongs, a.late = nil, nil
	s.forgetAskedLocked()
}

func (s *Session) forgetAskedLocked() {
	if s.asked != nil && len(s.asked.pongs) == 0 && s.asked.room == nil {
		s.asked = nil
	}
}

// Proof is when the last ping was queued that the client has answered for certain: it has received all that was sent
// before. It is zero when there is none.
func (s *Session) Proof() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.beat.proof == 0 {
		return time.Time{}
	}
	return s.server.epoch.Add(s.beat.proof)
}

// AwaitRoom is for an application that has much to send and does not want it to wait here. It reports whether a message of
// that many bytes leaves the outbox small, or finds it empty. If not, and f is not nil, f is called once, on another
// goroutine, when the outbox is small or the session has ended; an f given before is not called then.
func (s *Session) AwaitRoom(bytes int, f func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := s.outbox.Bytes()
	if s.state != stateOpen || waiting == 0 || waiting+bytes <= s.server.smallOutbox() {
		return true
	}
	if f != nil {
		s.askedLocked().room = f
	}
	return false
}

// smallOutbox is how much may wait while AwaitRoom finds room.
func (s *Server) smallOutbox() int { return min(volatileBytes, s.config.Outbox/2) }

// roomLocked tells the caller of AwaitRoom that what was in flight is written.
func (s *Session) roomLocked() {
	if s.asked != nil && s.asked.room != nil && s.outbox.Bytes() <= s.server.smallOutbox()/2 {
		go s.asked.room()
		s.asked.room = nil
		s.forgetAskedLocked()
	}
}
