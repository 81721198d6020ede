// Package alarm calls things at their deadlines, of which there may be hundreds of thousands that move all the time. A timer
// of the runtime for each would cost 150 bytes and two objects: here a deadline is 16 bytes in a heap, and each of a few
// heaps has one timer.
package alarm

import (
	"sync"
	"sync/atomic"
	"time"
)

// Place is where a thing stands among Alarms. The zero value is nowhere.
type Place struct {
	heap  int32 // from 1; 0: not chosen yet
	index int32 // from 1; 0: no deadline is set. The heap's mu guards it
}

// Alarms call things of one kind. Calls of Set and Cancel for one thing must not overlap.
type Alarms[T any] struct {
	// Static after construction.
	now   func() time.Duration
	place func(T) *Place
	ring  func(T)

	chosen atomic.Int32 // heaps, in turn
	heaps  [16]heap[T]
}

type heap[T any] struct {
	mu sync.Mutex
	// mu guards the following, and the index of what is in the heap. It is a leaf.
	entries []entry[T] // a binary heap by at
	place   func(T) *Place
	timer   *time.Timer
	fires   time.Duration // when timer does; 0: it does not
	due     []T           // between two calls empty
}

// spare is the capacity that an empty heap keeps.
const spare = 64

type entry[T any] struct {
	at    time.Duration
	thing T
}

// New makes Alarms. now is the time in the unit of deadlines, place a thing's place, which is its own, and ring is called once
// for each deadline that was set and has passed, on a goroutine of a timer: it must not block.
func New[T any](now func() time.Duration, place func(T) *Place, ring func(T)) *Alarms[T] {
	a := &Alarms[T]{now: now, place: place, ring: ring}
	for i := range a.heaps {
		a.heaps[i].place = place
	}
	return a
}

func (a *Alarms[T]) of(p *Place) *heap[T] {
	if p.heap == 0 {
		p.heap = 1 + int32(uint32(a.chosen.Add(1))%uint32(len(a.heaps)))
	}
	return &a.heaps[p.heap-1]
}

// Set has ring called at a time, which is not zero, instead of any time set before.
func (a *Alarms[T]) Set(thing T, at time.Duration) {
	p := a.place(thing)
	h := a.of(p)
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := int(p.index) - 1; i >= 0 {
		h.entries[i].at = at
		h.fix(i)
	} else {
		h.entries = append(h.entries, entry[T]{at, thing})
		p.index = int32(len(h.entries))
		h.up(len(h.entries) - 1)
	}
	a.arm(h)
}

// Cancel takes back what was set. The call may be under way already.
func (a *Alarms[T]) Cancel(thing T) {
	p := a.place(thing)
	h := a.of(p)
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.index > 0 {
		h.remove(int(p.index) - 1)
	}
	a.arm(h)
}

// arm makes the heap's timer fire for its first entry, or before it: later deadlines do not touch the timer.
func (a *Alarms[T]) arm(h *heap[T]) {
	switch {
	case len(h.entries) == 0:
		if h.timer != nil {
			h.timer.Stop()
		}
		h.fires = 0
		if cap(h.entries) > spare {
			h.entries = nil
		}
	case h.fires == 0 || h.entries[0].at < h.fires:
		h.fires = h.entries[0].at
		wait := h.fires - a.now()
		if h.timer == nil {
			h.timer = time.AfterFunc(wait, func() { a.call(h) })
		} else {
			h.timer.Reset(wait)
		}
	}
}

// call calls the things whose time has come.
func (a *Alarms[T]) call(h *heap[T]) {
	h.mu.Lock()
	now := a.now()
	due := h.due
	h.due = nil
	for len(h.entries) > 0 && h.entries[0].at <= now {
		due = append(due, h.entries[0].thing)
		h.remove(0)
	}
	h.fires = 0
	a.arm(h)
	h.mu.Unlock()
	for _, thing := range due {
		a.ring(thing)
	}
	clear(due)
	h.mu.Lock()
	h.due = due[:0]
	h.mu.Unlock()
}

// remove takes out the entry at i.
func (h *heap[T]) remove(i int) {
	h.place(h.entries[i].thing).index = 0
	last := len(h.entries) - 1
	moved := h.entries[last]
	h.entries[last] = entry[T]{}
	h.entries = h.entries[:last]
	if i < last {
		h.entries[i] = moved
		h.place(moved.thing).index = int32(i + 1)
		h.fix(i)
	}
}

// fix puts the entry at i where its time belongs.
func (h *heap[T]) fix(i int) {
	if !h.up(i) {
		h.down(i)
	}
}

func (h *heap[T]) up(i int) (moved bool) {
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

func (h *heap[T]) down(i int) {
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

func (h *heap[T]) swap(i, j int) {
	h.entries[i], h.entries[j] = h.entries[j], h.entries[i]
	h.place(h.entries[i].thing).index, h.place(h.entries[j].thing).index = int32(i+1), int32(j+1)
}
