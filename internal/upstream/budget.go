package upstream

import (
	"sync"
	"time"
)

// What may be held of events, in bytes.
const (
	maxSocket = 256 << 10 // of one socket; a single event of any size fits where nothing is held
	maxTotal  = 64 << 20  // of all sockets, and again as much of events that wait for room
)

// budget bounds the memory of what waits for Redis and for backends. A socket that is over its share waits for itself, and
// all wait once the whole is used up: first come, first served.
type budget struct {
	socket, total int // the bounds

	mu sync.Mutex
	// mu guards the following, and account.
	held    int
	waiting int       // bytes of waiters
	queue   []*waiter // for the whole; nil entries gave up
}

// account is the part of one socket.
type account struct {
	held   int
	waiter *waiter // for this socket's own share
}

// waiter is an event that waits for room. There is one for each socket at most.
type waiter struct {
	account *account
	size    int
	granted chan struct{} // closed under the budget's mu
	done    bool          // granted, or gave up
}

// admit takes room for size bytes and waits for it until the deadline. It returns ErrOverloaded when too much waits
// already, ErrUnavailable at the deadline, ErrGone when the socket or its connection ends.
func (b *budget) admit(a *account, size int, deadline time.Time, c Connection) error {
	b.mu.Lock()
	if len(b.queue) == 0 && b.fitsSocketLocked(a, size) && b.fitsTotalLocked(size) {
		b.takeLocked(a, size)
		b.mu.Unlock()
		return nil
	}
	if b.waiting+size > b.total && b.waiting > 0 {
		b.mu.Unlock()
		return ErrOverloaded
	}
	w := &waiter{account: a, size: size, granted: make(chan struct{})}
	b.waiting += size
	if b.fitsSocketLocked(a, size) {
		b.queue = append(b.queue, w)
	} else {
		a.waiter = w
	}
	b.grantLocked()
	b.mu.Unlock()

	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	err := ErrUnavailable
	select {
	case <-w.granted:
		return nil
	case <-timer.C:
	case <-c.Context().Done():
		err = ErrGone
	case <-c.Closed():
		err = ErrGone
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.done {
		return nil // granted meanwhile
	}
	w.done = true
	b.waiting -= size
	if a.waiter == w {
		a.waiter = nil
	}
	b.grantLocked()
	return err
}

func (b *budget) fitsSocketLocked(a *account, size int) bool {
	return a.held == 0 || a.held+size <= b.socket
}

func (b *budget) fitsTotalLocked(size int) bool { return b.held == 0 || b.held+size <= b.total }

func (b *budget) takeLocked(a *account, size int) {
	a.held += size
	b.held += size
}

// add takes room that cannot be refused.
func (b *budget) add(a *account, size int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.takeLocked(a, size)
}

// release gives room back.
func (b *budget) release(a *account, size int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a.held -= size
	b.held -= size
	if w := a.waiter; w != nil && b.fitsSocketLocked(a, w.size) {
		a.waiter = nil
		b.queue = append(b.queue, w)
	}
	b.grantLocked()
}

// grantLocked gives room to those that wait for the whole, in turn.
func (b *budget) grantLocked() {
	for len(b.queue) > 0 {
		w := b.queue[0]
		if !w.done && !b.fitsTotalLocked(w.size) {
			return
		}
		b.queue[0] = nil
		b.queue = b.queue[1:]
		if w.done {
			continue
		}
		w.done = true
		b.waiting -= w.size
		b.takeLocked(w.account, w.size)
		close(w.granted)
	}
	b.queue = nil
}

// Held is how many bytes are held.
func (b *budget) Held() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held
}
