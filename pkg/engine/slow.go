package engine

import "time"

// slowAfter is how long a client may make no progress while more than Config.Outbox waits for it.
const slowAfter = 5 * time.Second

// slowness watches a client for which more than Config.Outbox waits: one that takes it is only behind, however fast more
// comes. Session.mu guards it.
type slowness struct {
	progress time.Duration // when the client was last seen to take something
	taken    uint64        // what it had taken then, where the kernel tells
}

// watchLocked begins to watch the client. The session's timer looks after slowAfter.
func (s *Session) watchLocked() {
	if s.slow != nil {
		return
	}
	s.slow = &slowness{progress: s.server.now()}
	if s.socket != nil {
		s.slow.taken, _ = s.socket.taken()
	}
	s.armLocked(s.slow.progress + slowAfter)
}

// progressed notes that a part of what flies was written.
func (s *Session) progressed() {
	s.mu.Lock()
	s.progressedLocked()
	s.mu.Unlock()
}

func (s *Session) progressedLocked() {
	switch {
	case s.slow == nil:
	case s.queued+s.flying <= s.server.config.Outbox:
		s.slow = nil
	default:
		s.slow.progress = s.server.now()
	}
}

// stalledLocked reports whether a client that is watched has made no progress for too long.
func (s *Session) stalledLocked(now time.Duration) bool {
	if s.socket != nil {
		// What was written may still wait in the kernel, and leave it.
		if taken, _ := s.socket.taken(); taken != s.slow.taken {
			s.slow.taken, s.slow.progress = taken, now
		}
	}
	return now-s.slow.progress >= slowAfter
}
