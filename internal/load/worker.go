//go:build linux

package load

import (
	"container/heap"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// scenario is what clients do. Its methods run on the worker that owns the client; a scenario keeps what belongs to a
// worker in worker.state.
type scenario interface {
	connected(c *client)                  // the namespace has answered CONNECT
	event(c *client, data []byte)         // an EVENT, data from its [ on
	ack(c *client, id int, data []byte)   // an ACK, data from its [ on
	closed(c *client, err error)          // the server ended the connection, or it failed
	tick(w *worker, now int64) (at int64) // returns when it next wants to run
}

// nothing is a scenario that does nothing; others embed it.
type nothing struct{}

func (nothing) connected(c *client)                  {}
func (nothing) event(*client, []byte)                {}
func (nothing) ack(*client, int, []byte)             {}
func (nothing) closed(*client, error)                {}
func (nothing) tick(_ *worker, now int64) (at int64) { return now + 100e6 }

// worker is one thread with one epoll set.
type worker struct {
	// Static after construction.
	id      int
	g       *generator
	epoll   int
	wake    int // an eventfd
	stopped chan struct{}

	// Owned by the thread.
	scenario   scenario
	state      any // of the scenario
	sockets    []*socket
	free       []int32
	generation int32
	buffer     []byte // shared by all reads
	now        int64
	next       int64 // when the scenario wants to run
	dirty      []*socket
	mask       uint32
	timers     timers
	ending     bool

	waiting   []*client // for their handshake
	atOnce    int
	pumping   bool
	retries   int // of a failed handshake
	underway  map[*client]struct{}
	handshake *histogram
	lastScan  int64
	inflater  inflater
	deflated  int64 // messages

	securing sync.WaitGroup // TLS handshakes, each on a goroutine that posts its outcome

	ready, failed, retried atomic.Int64

	mu sync.Mutex
	// mu guards posted. It is held while wake is written to: a worker that has run what was posted may close it.
	posted    []func(*worker)
	hasPosted atomic.Bool
}

func newWorker(g *generator, id int) (*worker, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("eventfd: %w", err), unix.Close(epoll))
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: -1}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &event); err != nil {
		return nil, errors.Join(fmt.Errorf("epoll_ctl: %w", err), unix.Close(epoll), unix.Close(wake))
	}
	return &worker{
		id: id, g: g, epoll: epoll, wake: wake, stopped: make(chan struct{}), scenario: nothing{},
		buffer: make([]byte, 512<<10), retries: g.o.Retries, mask: uint32(id+1)*2654435761 | 1, underway: map[*client]struct{}{}, handshake: newHistogram(),
	}, nil
}

// post has the worker run f. The worker must not have ended: the number of wake could be that of another descriptor by then.
func (w *worker) post(f func(*worker)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.posted = append(w.posted, f)
	w.hasPosted.Store(true)
	_, _ = unix.Write(w.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // full means that it is awake
}

func (w *worker) run() {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1000, 0, 0, 0)
	var events [256]unix.EpollEvent
	for !w.ending {
		n := w.wait(events[:])
		w.now = now()
		for i := range events[:n] {
			w.handle(&events[i])
		}
		w.now = now()
		w.runPosted()
		for len(w.timers) > 0 && w.timers[0].at <= w.now {
			t := heap.Pop(&w.timers).(timer)
			t.run(w)
		}
		if w.now >= w.next {
			w.next = w.scenario.tick(w, w.now)
			w.failLate()
		}
		w.flush()
	}
	for _, s := range w.sockets {
		if s != nil {
			w.closeSocket(s, true)
		}
	}
	w.securing.Wait()
	w.runPosted()
	_, _ = unix.Close(w.epoll), unix.Close(w.wake)
	close(w.stopped)
}

func (w *worker) stop() { w.ending = true }

// wait returns how many events there are, after a while of none.
func (w *worker) wait(events []unix.EpollEvent) int {
	n, err := unix.EpollWait(w.epoll, events, 0)
	if err == nil && n > 0 || w.hasPosted.Load() {
		return max(n, 0)
	}
	next := w.next
	if len(w.timers) > 0 {
		next = min(next, w.timers[0].at)
	}
	d := min(next-now(), 100e6)
	if d <= 0 {
		return 0
	}
	nap := int64(w.g.o.Nap)
	const millisecond = 1e6
	if nap == 0 && d >= millisecond {
		n, _ = unix.EpollWait(w.epoll, events, int(d/millisecond))
		return max(n, 0)
	}
	if nap > 0 {
		d = min(d, nap)
	}
	ts := unix.NsecToTimespec(d)
	_ = unix.Nanosleep(&ts, nil)
	return 0
}

func (w *worker) handle(event *unix.EpollEvent) {
	if event.Fd < 0 {
		var count [8]byte
		_, _ = unix.Read(w.wake, count[:])
		return
	}
	s := w.sockets[event.Fd]
	if s == nil || s.generation != event.Pad {
		return // closed a moment ago
	}
	if event.Events&unix.EPOLLOUT != 0 {
		w.writable(s)
	}
	if s.state != socketClosed && event.Events&^uint32(unix.EPOLLOUT) != 0 {
		w.readable(s)
	}
}

func (w *worker) runPosted() {
	if !w.hasPosted.Load() {
		return
	}
	w.mu.Lock()
	posted := w.posted
	w.posted = nil
	w.hasPosted.Store(false)
	w.mu.Unlock()
	for _, f := range posted {
		f(w)
	}
	w.next = 0
}

// failLate ends handshakes that take longer than they may.
func (w *worker) failLate() {
	if w.now-w.lastScan < 500e6 {
		return
	}
	w.lastScan = w.now
	for c := range w.underway {
		if w.now-c.began > int64(w.g.o.HandshakeTimeout) {
			w.fail(c, errors.New("time-out "+c.progress()))
		}
	}
}

// timer is something to do at a time.
type timer struct {
	at  int64
	run func(*worker)
}

// timers is a heap, the next one first.
type timers []timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at < t[j].at }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)        { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	old := *t
	last := old[len(old)-1]
	*t = old[:len(old)-1]
	return last
}

// at has the worker run f at a time.
func (w *worker) at(at int64, f func(*worker)) { heap.Push(&w.timers, timer{at, f}) }
