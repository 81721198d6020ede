package engine

import (
	"cmp"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"
)

// total bounds memory of one kind over all sessions: when they hold more than the limit together, those that hold most
// are ended until less is held.
type total struct {
	// Static after construction.
	server *Server
	what   string
	of     func(*Session) int  // how much a session holds that it could be ended for
	end    func(*Session) bool // false when it has ended by itself, or holds nothing more

	bytes     atomic.Int64
	limit     atomic.Int64 // 0: none
	relieving atomic.Bool  // relieve runs
}

// reliefShare of the limit is what the fullest sessions are ended for beyond it, so that the next message does not have to
// look for the fullest again.
const reliefShare = 8

func (t *total) init(s *Server, what string, of func(*Session) int, end func(*Session) bool) {
	t.server, t.what, t.of, t.end = s, what, of, end
}

// Add counts bytes that an open session has come to hold. The caller does not wait for sessions to be ended, so the limit
// is exceeded by the bytes that arrive until enough of them have ended.
func (t *total) Add(bytes int) {
	held := t.bytes.Add(int64(bytes))
	if limit := t.limit.Load(); bytes > 0 && limit > 0 && held > limit && t.relieving.CompareAndSwap(false, true) {
		t.server.running.Go(func() { t.relieve(limit) })
	}
}

// full reports whether the limit would be exceeded by so many bytes more.
func (t *total) full(bytes int) bool {
	limit := t.limit.Load()
	return limit > 0 && t.bytes.Load()+int64(bytes) > limit
}

func (t *total) relieve(limit int64) {
	defer t.relieving.Store(false)
	type holder struct {
		session *Session
		bytes   int
	}
	var holders []holder
	for _, session := range t.server.table.all() {
		if n := t.of(session); n > 0 {
			holders = append(holders, holder{session, n})
		}
	}
	slices.SortFunc(holders, func(a, b holder) int { return cmp.Compare(b.bytes, a.bytes) })
	excess := t.bytes.Load() - (limit - limit/reliefShare)
	ended := 0
	for _, h := range holders {
		if excess <= 0 {
			break
		}
		if t.end(h.session) {
			excess -= int64(h.bytes)
			ended++
		}
	}
	t.server.config.Logger.Warn(t.what+" over their total", zap.Int("ended", ended), zap.Int64("bytes", t.bytes.Load()))
}

// outboxBytes is how many bytes wait for the client, those being written included.
func (s *Session) outboxBytes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outbox.Bytes()
}

// endFullOutbox ends a session as a slow consumer.
func (s *Session) endFullOutbox() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed || s.outbox.Bytes() == 0 {
		return false
	}
	s.server.metrics.slowConsumers.Inc()
	s.cutLocked(SlowConsumer, cause("among the fullest outboxes when all together were over their total"))
	return true
}

// Memory that holds data of clients counts towards Limits.Inbound: messages and POST bodies of which a part has arrived, the
// handshake that each session keeps, and the bytes that the application holds for it.

// Hold counts bytes of memory, or with a negative number less of them, that the application holds of what the client has
// sent, such as its credentials or a message that is not complete. It returns false, and counts nothing, where
// Limits.Inbound would be exceeded or the session has ended. What is still held when the session ends is counted out then.
func (s *Session) Hold(bytes int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed || bytes > 0 && s.server.inbound.full(bytes) {
		return false
	}
	s.held += bytes
	s.server.inbound.Add(bytes)
	return true
}

// arriving is how many bytes of memory hold what has arrived of a message that is not whole.
func (s *Session) arriving() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	if s.socket != nil {
		n += s.socket.Held()
	}
	if s.polling != nil {
		n += s.polling.posting.Held()
	}
	return n
}

// endArriving ends a session that has sent part of a message.
func (s *Session) endArriving() bool {
	if s.arriving() == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == stateClosed {
		return false
	}
	s.cutLocked(Limit, cause("among the largest unfinished messages when all together were over their total"))
	// Its reader or handler lets go of the memory in a moment. Counted until then, it would be looked for once more, and
	// another session be ended in its place.
	if s.socket != nil {
		s.socket.Discount()
	}
	if s.polling != nil {
		s.polling.posting.Discount()
	}
	return true
}
