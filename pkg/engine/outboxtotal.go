package engine

import (
	"cmp"
	"slices"

	"go.uber.org/zap"
)

// reliefShare of Limits.Outboxes is what the fullest sessions are ended for beyond the limit, so that the next
// message does not have to look for the fullest again.
const reliefShare = 8

// countOutbox counts bytes that came to wait, of a session that is open. Nobody waits for the relief that may become due: what
// is queued until it has ended enough sessions goes beyond the limit.
func (s *Server) countOutbox(size int) {
	total := s.outboxBytes.Add(int64(size))
	if limit := s.outboxes.Load(); limit > 0 && total > limit && s.relieving.CompareAndSwap(false, true) {
		s.running.Go(func() { s.relieve(limit) })
	}
}

// relieve ends the sessions with the fullest outboxes, as slow consumers, until what waits is below the limit again.
func (s *Server) relieve(limit int64) {
	defer s.relieving.Store(false)
	type outbox struct {
		session *Session
		bytes   int
	}
	var outboxes []outbox
	for _, session := range s.table.all() {
		if n := session.outboxBytes(); n > 0 {
			outboxes = append(outboxes, outbox{session, n})
		}
	}
	slices.SortFunc(outboxes, func(a, b outbox) int { return cmp.Compare(b.bytes, a.bytes) })
	enough := limit - limit/reliefShare
	ended := 0
	for _, o := range outboxes {
		if s.outboxBytes.Load() <= enough {
			break
		}
		if o.session.cutSlow() {
			ended++
		}
	}
	s.config.Logger.Warn("outboxes over their total", zap.Int("ended", ended), zap.Int64("bytes_left", s.outboxBytes.Load()))
}

// outboxBytes is how many bytes wait for the client, those being written included.
func (s *Session) outboxBytes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queued + s.flying
}

// cutSlow ends a session as a slow consumer; false when it has ended by itself, or has caught up.
func (s *Session) cutSlow() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed || s.queued+s.flying == 0 {
		return false
	}
	s.server.metrics.slowConsumers.Inc()
	s.cutLocked(SlowConsumer, cause("among the fullest outboxes when all together were over their total"))
	return true
}
