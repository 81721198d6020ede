// Package flush has a few goroutines write what many sessions have to send. It knows neither sessions nor connections: an item
// is queued when it has something to write, and flushed when its turn comes.
package flush

import (
	"runtime"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/stack"
	"github.com/carillon-io/carillon/internal/yield"
)

// Flushers go from item to item. With a goroutine for each session a busy server would have thousands in its run queue, and
// readers, of clients and of the cluster, would wait behind them. Under load writes are delayed rather than reads: a session
// that waits longer for its turn sends more frames with one system call.
//
// A flusher does not wait for a peer. When a write would block, it retires: another flusher replaces it, and it ends after
// that write.
//
// T is what is flushed, and W what a flusher writes with.
type Flushers[T any, W any] struct {
	// Static after construction.
	link    func(T) *Link[T]
	flush   func(T, W)
	run     func()    // work: a method value made at each go statement would allocate
	workers sync.Pool // of *worker[T, W], for reuse

	mu sync.Mutex
	// mu guards the following. It is a leaf.
	head, tail T   // the items whose turn is to come, if length is not 0
	length     int // of that queue
	working    int
	limit      int  // of working, unless behind: more would not run at the same time
	behind     bool // an item had more to write than one write takes, and the queue has not been empty since
}

// Link is what an item keeps for its place in the queue.
type Link[T any] struct{ next T }

// New makes Flushers, and starts nothing. link returns the Link of an item. writer makes what a flusher writes with, which must call
// wait, any number of times, before it waits for a peer. flush writes what an item has to send.
func New[T, W any](link func(T) *Link[T], writer func(wait func()) W, flush func(T, W)) *Flushers[T, W] {
	f := &Flushers[T, W]{link: link, flush: flush}
	f.run = f.work
	f.workers.New = func() any {
		w := &worker[T, W]{flushers: f}
		w.writer = writer(w.retire)
		return w
	}
	return f
}

const (
	// share is how many items wait for each flusher before there is another.
	share = 32
	// stay is how long a flusher works at the least before it lets others run.
	stay = 200 * time.Microsecond
	// look is how many turns pass between two looks at the clock.
	look = 16
)

// room on the stack is what a write of a few frames takes: a stack of 4 KiB.
type room [2 << 10]byte

// worker is a flusher at work.
type worker[T, W any] struct {
	flushers *Flushers[T, W]
	writer   W
	retired  bool
}

// Add queues an item, which must not be queued already.
func (f *Flushers[T, W]) Add(item T) {
	f.mu.Lock()
	if f.length == 0 {
		f.head = item
	} else {
		f.link(f.tail).next = item
	}
	f.tail = item
	f.length++
	if f.working == 0 {
		f.limit = runtime.GOMAXPROCS(0)
	}
	more := f.working == 0 || f.length > f.working*share && (f.working < f.limit || f.behind)
	if more {
		f.working++
	}
	f.mu.Unlock()
	if more {
		go f.run()
	}
}

// next removes the item whose turn it is. When there is none the caller has stopped working, unless it stays.
func (f *Flushers[T, W]) next(stays bool) (item T, behind, ok bool) {
	var none T
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.length == 0 {
		f.behind = false
		if !stays {
			f.working--
		}
		return none, false, false
	}
	item = f.head
	link := f.link(item)
	f.head, link.next = link.next, none
	if f.length--; f.length == 0 {
		f.tail = none
	}
	return item, f.behind, true
}

// FallBehind notes that an item has more to write than one write takes.
func (f *Flushers[T, W]) FallBehind() {
	f.mu.Lock()
	f.behind = true
	f.mu.Unlock()
}

// Count returns how many flushers go from item to item, and how many items wait for them.
func (f *Flushers[T, W]) Count() (working, waiting int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.working, f.length
}

// work flushes items until the queue is empty, also after every goroutine that was runnable has run: on a node with much to do these
// queue more, and a flusher made anew for each burst, with its stack, would cost more. In between it yields, and then works at least as long as it was away:
// goroutines that produce more to write get at least half of the CPU time, however many there are. It does not yield while
// items have more to write than one write takes: a longer delay saves no system calls then, and producers must not
// outrun the writing, or clients that read well would be cut as slow consumers. There are then as many flushers as there is
// work for, the runtime divides the time among all runnable goroutines, and readers get little until the queue is empty.
func (f *Flushers[T, W]) work() {
	stack.Grow[room]()
	w := f.workers.Get().(*worker[T, W])
	w.retired = false
	since, limit := time.Now(), stay
	for n := 1; !w.retired; n++ {
		item, behind, ok := f.next(true)
		if !ok {
			runtime.Gosched()
			if item, behind, ok = f.next(false); !ok {
				break
			}
		}
		if n%look == 0 && !behind {
			if now := time.Now(); now.Sub(since) >= limit {
				yield.Now()
				since = time.Now()
				limit = max(stay, since.Sub(now))
			}
		}
		f.flush(item, w.writer)
	}
	f.workers.Put(w)
}

// retire is called before a wait.
func (w *worker[T, W]) retire() {
	if w.retired {
		return
	}
	w.retired = true
	f := w.flushers
	f.mu.Lock()
	replace := f.length > 0
	if !replace {
		f.working--
	}
	f.mu.Unlock()
	if replace {
		go f.run()
	}
}
