package streamsession

import (
	"slices"
	"time"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// wait is a call of Stored that has not been answered.
type wait struct {
	// Static after construction.
	ids   []string
	done  func(error)
	timer *time.Timer // ends it; nil only where there was nothing to wait for

	left int // sessions that are not stored yet; 0: it has been answered. Store.mu guards it
}

// mostWaits bounds the calls of Stored that wait at the same time, as while Redis is away.
const mostWaits = 1 << 16

// Stored calls done once what Keep was last called for is stored, for the sessions of all these sockets: with nil, also where a
// session is not kept, is another server's, or cannot be stored at all. After the limit, or where too many wait already, it is
// called with ErrAway. done must not block; it may be called before Stored returns.
func (s *Store) Stored(ids []string, limit time.Duration, done func(error)) {
	w := &wait{ids: ids, done: done}
	s.mu.Lock()
	var err error
	for _, id := range ids {
		k := s.kept[id]
		if k == nil || !k.queued && !k.writing {
			continue
		}
		if s.waiting == mostWaits || s.ended {
			err = adapter.ErrAway
			break
		}
		w.left++
		if k.queued {
			k.waits = append(k.waits, w)
		} else {
			k.flying = append(k.flying, w)
		}
	}
	if w.left == 0 {
		s.mu.Unlock()
		done(err)
		return
	}
	s.waiting++
	w.timer = time.AfterFunc(limit, func() { s.expire(w) })
	s.mu.Unlock()
}

// expire ends a wait that took too long.
func (s *Store) expire(w *wait) {
	s.mu.Lock()
	waits := w.left > 0
	if waits {
		s.endLocked(w)
	}
	for _, id := range w.ids {
		if k := s.kept[id]; k != nil {
			is := func(other *wait) bool { return other == w }
			k.waits, k.flying = slices.DeleteFunc(k.waits, is), slices.DeleteFunc(k.flying, is)
		}
	}
	s.mu.Unlock()
	if waits {
		w.done(adapter.ErrAway)
	}
}

func (s *Store) endLocked(w *wait) {
	w.left = 0
	w.timer.Stop()
	s.waiting--
}

// storedLocked notes for calls of Stored that one session of each is stored, or will not be, and returns those that are to be
// answered now.
func (s *Store) storedLocked(waits []*wait) (over []*wait) {
	for _, w := range waits {
		switch w.left {
		case 0: // expired
		case 1:
			s.endLocked(w)
			over = append(over, w)
		default:
			w.left--
		}
	}
	return over
}

// freeLocked is storedLocked for all that waits for a session.
func (s *Store) freeLocked(k *kept) (over []*wait) {
	over = append(s.storedLocked(k.waits), s.storedLocked(k.flying)...)
	k.waits, k.flying = nil, nil
	return over
}

// settleLocked ends the waits for a write that Redis has answered. One that failed for now goes on waiting; of one that may not be
// written, for lack of rights, there is nothing to wait for.
func (s *Store) settleLocked(k *kept, err error) (over []*wait) {
	k.writing = false
	if err != nil && !redisconn.Denied(err) {
		k.waits, k.flying = append(k.flying, k.waits...), nil
		return nil
	}
	over = s.storedLocked(k.flying)
	k.flying = nil
	return over
}

// end ends all waits: nothing is written any more.
func (s *Store) end() {
	var over []*wait
	s.mu.Lock()
	s.ended = true
	for _, k := range s.kept {
		over = append(over, s.freeLocked(k)...)
	}
	s.mu.Unlock()
	answer(over, adapter.ErrAway)
}

func answer(waits []*wait, err error) {
	for _, w := range waits {
		w.done(err)
	}
}
