package auth

import (
	"container/heap"
	"sync"
	"time"
)

// longestWait bounds how long the timer runs: it does not see the clock being set, nor a machine that slept.
const longestWait = time.Minute

// Deadlines call back when tokens run out. One timer serves all of them, so a token costs its place in a heap. The zero
// value is ready; safe for concurrent use.
type Deadlines struct {
	mu sync.Mutex
	// mu guards the following.
	waiting deadlineHeap
	timer   *time.Timer // nil until the first
}

// Deadline is when one token runs out. Its owner keeps it, in a struct of its own; the zero value is not set.
type Deadline struct {
	// Due is called when the deadline has come, from the timer's goroutine, perhaps while Set moves it. It must not
	// block. Static once set.
	Due func()

	// The Deadlines' mu guards the following.
	at    time.Time
	index int // in the heap, plus one; 0: not set
	ended bool
}

// Set has d called at a time, instead of the time set before; a zero time only takes it out. After End it does nothing.
func (ds *Deadlines) Set(d *Deadline, at time.Time) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.removeLocked(d)
	if at.IsZero() || d.ended {
		return
	}
	d.at = at.Round(0) // by the wall clock
	heap.Push(&ds.waiting, d)
	if d.index == 1 {
		ds.armLocked()
	}
}

// End takes d out for good.
func (ds *Deadlines) End(d *Deadline) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.removeLocked(d)
	d.ended = true
}

func (ds *Deadlines) removeLocked(d *Deadline) {
	if d.index > 0 {
		heap.Remove(&ds.waiting, d.index-1)
	}
}

func (ds *Deadlines) armLocked() {
	wait := min(max(time.Until(ds.waiting[0].at), 0), longestWait)
	if ds.timer == nil {
		ds.timer = time.AfterFunc(wait, ds.expire)
	} else {
		ds.timer.Reset(wait)
	}
}

// expire calls everything that is due, and sets the timer for the next.
func (ds *Deadlines) expire() {
	var due []*Deadline
	ds.mu.Lock()
	for now := time.Now(); len(ds.waiting) > 0 && !ds.waiting[0].at.After(now); {
		due = append(due, heap.Pop(&ds.waiting).(*Deadline))
	}
	if len(ds.waiting) > 0 {
		ds.armLocked()
	}
	ds.mu.Unlock()
	for _, d := range due {
		d.Due()
	}
}

// deadlineHeap is a heap.Interface, the earliest first.
type deadlineHeap []*Deadline

func (h deadlineHeap) Len() int           { return len(h) }
func (h deadlineHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h deadlineHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

// Push adds a *Deadline.
func (h *deadlineHeap) Push(d any) {
	*h = append(*h, d.(*Deadline))
	d.(*Deadline).index = len(*h)
}

// Pop takes off the last.
func (h *deadlineHeap) Pop() any {
	last := len(*h) - 1
	d := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	d.index = 0
	return d
}
