package engine

import (
	"runtime"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/wsconn"
	"github.com/carillon-io/carillon/internal/yield"
)

// flushers write what sessions have to send: a few goroutines that go from session to session. With a goroutine for each
// session a busy server would have thousands in its run queue, and readers, of clients and of the cluster, would wait
// behind them. Under load writes are delayed rather than reads: a session that waits longer for its turn sends more frames
// with one system call.
//
// A flusher does not wait for a peer. When a write would block, it retires: another flusher replaces it, and it ends after
// that write.
type flushers struct {
	run func() // work, static: a method value made at each go statement would allocate

	mu sync.Mutex
	// mu guards the following. It is a leaf.
	head, tail *Session // the sessions whose turn is to come, linked by nextFlush
	length     int      // of that queue
	working    int
	limit      int  // of working, unless behind: more would not run at the same time
	behind     bool // a session had more to write than one write takes, and the queue has not been empty since
}

const (
	// flushShare is how many sessions wait for each flusher before there is another.
	flushShare = 32
	// flushStay is how long a flusher works at the least before it lets others run.
	flushStay = 200 * time.Microsecond
	// flushLook is how many turns pass between two looks at the clock.
	flushLook = 16
)

// flusher is one of them at work.
type flusher struct {
	flushers *flushers
	retired  bool
	writer   *wsconn.Writer // which retires before it waits
}

var idleFlushers sync.Pool

func newFlusher() *flusher {
	if w, ok := idleFlushers.Get().(*flusher); ok {
		return w
	}
	w := &flusher{}
	w.writer = wsconn.NewWriter(w.retire)
	return w
}

// start queues a session whose lease the caller holds for the flush.
func (f *flushers) start(s *Session) {
	f.mu.Lock()
	if f.tail == nil {
		f.head = s
	} else {
		f.tail.nextFlush = s
	}
	f.tail = s
	f.length++
	if f.working == 0 {
		f.limit = runtime.GOMAXPROCS(0)
	}
	more := f.working == 0 || f.length > f.working*flushShare && (f.working < f.limit || f.behind)
	if more {
		f.working++
	}
	f.mu.Unlock()
	if more {
		go f.run()
	}
}

// next removes the session whose turn it is. When there is none the caller has stopped working.
func (f *flushers) next() (s *Session, behind bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s = f.head
	if s == nil {
		f.working--
		f.behind = false
		return nil, false
	}
	f.head, s.nextFlush = s.nextFlush, nil
	if f.head == nil {
		f.tail = nil
	}
	f.length--
	return s, f.behind
}

// fallBehind notes that a session has more to write than one write takes.
func (f *flushers) fallBehind() {
	f.mu.Lock()
	f.behind = true
	f.mu.Unlock()
}

// work flushes sessions until the queue is empty. In between it yields, and then works at least as long as it was away:
// goroutines that produce more to write get at least half of the CPU time, however many there are. It does not yield while
// sessions have more to write than one write takes: a longer delay saves no system calls then, and producers must not
// outrun the writing, or clients that read well would be cut as slow consumers. There are then as many flushers as there is
// work for, the runtime divides the time among all runnable goroutines, and readers get little until the queue is empty.
func (f *flushers) work() {
	growFlusherStack(false)
	w := newFlusher()
	w.flushers, w.retired = f, false
	since, stay := time.Now(), flushStay
	for n := 1; !w.retired; n++ {
		s, behind := f.next()
		if s == nil {
			break
		}
		if n%flushLook == 0 && !behind {
			if now := time.Now(); now.Sub(since) >= stay {
				yield.Now()
				since = time.Now()
				stay = max(flushStay, since.Sub(now))
			}
		}
		s.flush(w.writer)
	}
	idleFlushers.Put(w)
}

// retire is called before a wait.
func (w *flusher) retire() {
	if w.retired {
		return
	}
	w.retired = true
	f := w.flushers
	f.mu.Lock()
	replace := f.head != nil
	if !replace {
		f.working--
	}
	f.mu.Unlock()
	if replace {
		go f.run()
	}
}
