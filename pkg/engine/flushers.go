package engine

import (
	"runtime"
	"sync"
	"time"
)

// flushers write what sessions have to send: a few goroutines that go from session to session. With one for each session
// there would be thousands in the run queue of a busy server, and whatever reads, from clients or from a cluster, would
// wait behind them all. So it is the writes that wait when there is much to do, where waiting pays: the more frames a
// session has collected by its turn, the fewer system calls they take.
//
// A flusher does not wait for a peer. When it has to, it retires: another takes its place, and it ends with that write.
type flushers struct {
	run func() // work, static: a method value made at each go statement would allocate

	mu sync.Mutex
	// mu guards the following. It is a leaf.
	first, last *Session // who waits for a turn, linked by nextFlush
	waiting     int
	working     int
	limit       int  // of working, unless behind: more would not run at the same time
	behind      bool // some session has had more to write than one write takes, and they have not caught up since
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
	call     writeCall
}

// retired is who writes for one session only, and may wait.
var retired = &flusher{retired: true}

var idleFlushers sync.Pool

func newFlusher() *flusher {
	if w, ok := idleFlushers.Get().(*flusher); ok {
		return w
	}
	w := &flusher{}
	w.call.prepare(w)
	return w
}

// start gives a turn to a session whose lease the caller has taken for it.
func (f *flushers) start(s *Session) {
	f.mu.Lock()
	if f.last == nil {
		f.first = s
	} else {
		f.last.nextFlush = s
	}
	f.last = s
	f.waiting++
	if f.working == 0 {
		f.limit = runtime.GOMAXPROCS(0)
	}
	more := f.working == 0 || f.waiting > f.working*flushShare && (f.working < f.limit || f.behind)
	if more {
		f.working++
	}
	f.mu.Unlock()
	if more {
		go f.run()
	}
}

// next takes out whose turn it is; when nobody waits the caller works no more.
func (f *flushers) next() (s *Session, behind bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s = f.first
	if s == nil {
		f.working--
		f.behind = false
		return nil, false
	}
	f.first, s.nextFlush = s.nextFlush, nil
	if f.first == nil {
		f.last = nil
	}
	f.waiting--
	return s, f.behind
}

// fallBehind is told of a session that has more to write than one write takes.
func (f *flushers) fallBehind() {
	f.mu.Lock()
	f.behind = true
	f.mu.Unlock()
}

// work goes from session to session until none waits. In between it lets others run, and stays at least as long as it was
// away: who brings in more to write gets half of the time, however many they are. Not while sessions have more to write
// than one write takes: waiting pays no more then, and who brings in more must not outrun the writing, or clients that
// read well would be cut off. So nobody yields, and there are as many flushers as there is work for: the runtime divides
// the time among all that are runnable, and whatever reads gets little until they have caught up.
func (f *flushers) work() {
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
				yield()
				since = time.Now()
				stay = max(flushStay, since.Sub(now))
			}
		}
		s.flush(w)
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
	replace := f.first != nil
	if !replace {
		f.working--
	}
	f.mu.Unlock()
	if replace {
		go f.run()
	}
}
