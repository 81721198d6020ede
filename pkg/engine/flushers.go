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
	mu sync.Mutex
	// mu guards the following. It is a leaf.
	first, last *Session // who waits for a turn, linked by nextFlush
	waiting     int
	working     int
	limit       int    // of working: more would not run at the same time
	run         func() // work: a method value made at each go statement would allocate
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
	full     bool // a session had more to write than one write takes
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
	if f.run == nil {
		f.run = f.work
	}
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
	more := f.working == 0 || f.waiting > f.working*flushShare && f.working < f.limit
	if more {
		f.working++
	}
	f.mu.Unlock()
	if more {
		go f.run()
	}
}

// next takes out whose turn it is; when nobody waits the caller works no more.
func (f *flushers) next() *Session {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.first
	if s == nil {
		f.working--
		return nil
	}
	f.first, s.nextFlush = s.nextFlush, nil
	if f.first == nil {
		f.last = nil
	}
	f.waiting--
	return s
}

// work goes from session to session until none waits. In between it lets others run, and stays at least as long as it was
// away: who brings in more to write gets half of the time, however many they are. Not while sessions have more to write
// than one write takes: then waiting pays no more, and only the runtime makes room for others.
func (f *flushers) work() {
	w := newFlusher()
	w.flushers, w.retired, w.full = f, false, false
	since, stay := time.Now(), flushStay
	for n := 1; !w.retired; n++ {
		s := f.next()
		if s == nil {
			break
		}
		if n%flushLook == 0 {
			if now := time.Now(); !w.full && now.Sub(since) >= stay {
				yield()
				since = time.Now()
				stay = max(flushStay, since.Sub(now))
			}
			w.full = false
		}
		s.flush(w)
	}
	idleFlushers.Put(w)
}

// behind is told of a session that has more to write than one write takes.
func (w *flusher) behind() {
	if !w.retired {
		w.full = true
	}
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
