package idle

import (
	"os"
	"sync"
	"syscall"
)

const (
	// Input is input or the end of the stream.
	Input Event = syscall.EPOLLIN | syscall.EPOLLRDHUP
	// Hangup is the end of the stream alone.
	Hangup Event = syscall.EPOLLRDHUP
)

const (
	// batch is how many events are fetched at once.
	batch = 128
	// oneShot is EPOLLONESHOT, which package syscall lacks.
	oneShot = 1 << 30
)

// Poller calls connections for which something has arrived. A connection is registered once and armed for one event at a
// time. The epoll descriptor, and the goroutine that waits for it, exist while any connection is registered.
type Poller struct {
	spawn func(func()) // static

	mu sync.Mutex
	// mu guards the following. It is a leaf.
	file       *os.File // keeps descriptor; nil while no connection is registered
	descriptor int
	wakers     []Waker // by slot. A late event of a slot that was given on calls its new owner, which does no harm
	free       []Slot
	used       int
}

// New makes a Poller. spawn runs a function on a goroutine of its own, and waits for it when the server ends.
func New(spawn func(func())) *Poller { return &Poller{spawn: spawn} }

// Arm has w called once, when the event happens or if it has already. A zero slot is given its value. It returns false when
// the connection cannot be waited for.
func (p *Poller) Arm(slot *Slot, conn Controller, w Waker, what Event) bool {
	operation := syscall.EPOLL_CTL_MOD
	if *slot == 0 {
		operation = syscall.EPOLL_CTL_ADD
		if !p.add(slot, w) {
			return false
		}
	}
	p.mu.Lock()
	epoll := p.descriptor // valid as long as the connection has its slot
	p.mu.Unlock()
	armed := false
	err := conn.Control(func(descriptor uintptr) {
		event := syscall.EpollEvent{Events: uint32(what) | oneShot, Fd: int32(*slot - 1)}
		armed = syscall.EpollCtl(epoll, operation, int(descriptor), &event) == nil
	})
	if err == nil && armed {
		return true
	}
	if operation == syscall.EPOLL_CTL_ADD {
		p.Remove(slot)
	}
	return false
}

// Sleep makes a connection sleep that is awake, if that is possible. It has to be armed anew.
func (p *Poller) Sleep(slot *Slot, conn *Conn) {
	if !conn.Awake() {
		return
	}
	if *slot != 0 {
		p.mu.Lock()
		epoll := p.descriptor
		p.mu.Unlock()
		_ = conn.Control(func(descriptor uintptr) {
			// Else it would stay registered by a number that may soon be another's. It was armed, so this cannot fail.
			_ = syscall.EpollCtl(epoll, syscall.EPOLL_CTL_DEL, int(descriptor), nil)
		})
		p.Remove(slot)
	}
	conn.Sleep()
}

// add gives a connection its slot.
func (p *Poller) add(slot *Slot, w Waker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil && !p.openLocked() {
		return false
	}
	if n := len(p.free); n > 0 {
		*slot = p.free[n-1]
		p.free = p.free[:n-1]
		p.wakers[*slot-1] = w
	} else {
		p.wakers = append(p.wakers, w)
		*slot = Slot(len(p.wakers))
	}
	p.used++
	return true
}

// Remove frees the slot of a connection that will not be armed again, and sets it to 0. It may be called a second time.
func (p *Poller) Remove(slot *Slot) {
	if *slot == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wakers[*slot-1] = nil
	p.free = append(p.free, *slot)
	*slot = 0
	if p.used--; p.used == 0 {
		// Closing ends wait, and waits for it, which may be about to take mu or be inside a Waker.
		file := p.file
		p.spawn(func() { _ = file.Close() })
		p.file, p.wakers, p.free = nil, nil, nil
	}
}

func (p *Poller) openLocked() bool {
	descriptor, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	// The runtime waits for descriptors that do not block, and needs no thread for it.
	if err := syscall.SetNonblock(descriptor, true); err != nil {
		_ = syscall.Close(descriptor)
		return false
	}
	file := os.NewFile(uintptr(descriptor), "epoll")
	p.file, p.descriptor = file, descriptor
	p.spawn(func() { p.wait(file) })
	return true
}

// wait calls connections until file is closed.
func (p *Poller) wait(file *os.File) {
	epoll, err := file.SyscallConn()
	if err != nil {
		return // closed
	}
	events := make([]syscall.EpollEvent, batch)
	due := make([]Waker, 0, batch)
	_ = epoll.Read(func(descriptor uintptr) (done bool) { // the error is that file was closed
		for {
			n, err := syscall.EpollWait(int(descriptor), events, 0)
			switch {
			case err == syscall.EINTR:
				continue
			case err != nil:
				return true
			case n == 0:
				return false
			}
			due = p.find(due[:0], events[:n])
			for _, w := range due {
				w.Wake()
			}
			clear(due)
		}
	})
}

// find appends the connections that events are about.
func (p *Poller) find(due []Waker, events []syscall.EpollEvent) []Waker {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range events {
		if slot := int(e.Fd); slot < len(p.wakers) && p.wakers[slot] != nil {
			due = append(due, p.wakers[slot])
		}
	}
	return due
}
