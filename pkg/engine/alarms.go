package engine

import (
	"sync"
	"time"
)

// alarms call sessions at their deadlines. A timer of the runtime for each session would cost 150 bytes and two objects: here
// a session is 16 bytes in a heap, and each of a few heaps has one timer.
type alarms struct {
	server *Server // static
	heaps  [16]alarmHeap
}

type alarmHeap struct {
	mu sync.Mutex
	// mu guards the following, and Session.beat.place of those in the heap. It is a leaf.
	entries []alarm // a binary heap by at
	timer   *time.Timer
	fires   time.Duration // when timer does; 0: it does not
	due     []*Session    // between two calls empty
}

// spareAlarms is the capacity that an empty heap keeps.
const spareAlarms = 64

type alarm struct {
	at      time.Duration // since the server's epoch
	session *Session
}

func (a *alarms) of(s *Session) *alarmHeap { return &a.heaps[int(s.id[idLength-1])%len(a.heaps)] }

// set has s called at a time, instead of any time set before.
func (a *alarms) set(s *Session, at time.Duration) {
	h := a.of(s)
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := s.beat.place - 1; i >= 0 {
		h.entries[i].at = at
		h.fix(i)
	} else {
		h.entries = append(h.entries, alarm{at, s})
		s.beat.place = len(h.entries)
		h.up(len(h.entries) - 1)
	}
	a.arm(h)
}

// cancel takes back what was set. The call may be under way already.
func (a *alarms) cancel(s *Session) {
	h := a.of(s)
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.beat.place > 0 {
		h.remove(s.beat.place - 1)
	}
	a.arm(h)
}

// arm makes the heap's timer fire for its first entry, or before it: later deadlines do not touch the timer.
func (a *alarms) arm(h *alarmHeap) {
	switch {
	case len(h.entries) == 0:
		if h.timer != nil {
			h.timer.Stop()
		}
		h.fires = 0
		if cap(h.entries) > spareAlarms {
			h.entries = nil
		}
	case h.fires == 0 || h.entries[0].at < h.fires:
		h.fires = h.entries[0].at
		wait := h.fires - a.server.now()
		if h.timer == nil {
			h.timer = time.AfterFunc(wait, func() { a.ring(h) })
		} else {
			h.timer.Reset(wait)
		}
	}
}

// ring calls the sessions whose time has come.
func (a *alarms) ring(h *alarmHeap) {
	h.mu.Lock()
	now := a.server.now()
	due := h.due
	h.due = nil
	for len(h.entries) > 0 && h.entries[0].at <= now {
		due = append(due, h.entries[0].session)
		h.remove(0)
	}
	h.fires = 0
	a.arm(h)
	h.mu.Unlock()
	for _, s := range due {
		s.onTimer()
	}
	clear(due)
	h.mu.Lock()
	h.due = due[:0]
	h.mu.Unlock()
}

// remove takes out the entry at i.
func (h *alarmHeap) remove(i int) {
	h.entries[i].session.beat.place = 0
	last := len(h.entries) - 1
	moved := h.entries[last]
	h.entries[last] = alarm{}
	h.entries = h.entries[:last]
	if i < last {
		h.entries[i] = moved
		moved.session.beat.place = i + 1
		h.fix(i)
	}
}

// fix puts the entry at i where its time belongs.
func (h *alarmHeap) fix(i int) {
	if !h.up(i) {
		h.down(i)
	}
}

func (h *alarmHeap) up(i int) (moved bool) {
	for i > 0 {
		parent := (i - 1) / 2
		if h.entries[parent].at <= h.entries[i].at {
			break
		}
		h.swap(i, parent)
		i, moved = parent, true
	}
	return moved
}

func (h *alarmHeap) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.entries) {
			return
		}
		if other := child + 1; other < len(h.entries) && h.entries[other].at < h.entries[child].at {
			child = other
		}
		if h.entries[i].at <= h.entries[child].at {
			return
		}
		h.swap(i, child)
		i = child
	}
}

func (h *alarmHeap) swap(i, j int) {
	h.entries[i], h.entries[j] = h.entries[j], h.entries[i]
	h.entries[i].session.beat.place, h.entries[j].session.beat.place = i+1, j+1
}
