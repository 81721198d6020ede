package engine

import (
	"os"
	"sync"
	"syscall"
)

// parking waits for input on behalf of idle WebSockets, so that these cost neither a goroutine nor a buffer:
//
//	reader ── park ──► parked ── input, or wake ──► a new reader
//
// A connection is registered once and armed for one event at a time. The epoll descriptor, and the goroutine that waits
// for it, exist while any connection is registered.
type parking struct {
	running *sync.WaitGroup // static

	mu sync.Mutex
	// mu guards the following. It is a leaf.
	file       *os.File // keeps descriptor; nil while no connection is registered
	descriptor int
	slots      []*wsConn // an event names an index; one that comes late wakes whoever has that slot now, which does no harm
	free       []int
	used       int
}

const (
	// parkingEvents is how many events are taken at once.
	parkingEvents = 128
	// epollOneShot is EPOLLONESHOT, which package syscall lacks.
	epollOneShot = 1 << 30
)

// parkLocked makes c wait for input without its reader; the caller holds c.ending. It returns false when that cannot be
// done, and the reader goes on.
func (p *parking) parkLocked(c *wsConn) bool {
	return p.armLocked(c, syscall.EPOLLIN|syscall.EPOLLRDHUP)
}

// watchLocked has c woken once its peer hangs up. It returns false when that cannot be done.
func (p *parking) watchLocked(c *wsConn) bool { return p.armLocked(c, syscall.EPOLLRDHUP) }

// armLocked waits for one event, which may have come already.
func (p *parking) armLocked(c *wsConn, what uint32) bool {
	operation := syscall.EPOLL_CTL_MOD
	if c.slot == 0 {
		operation = syscall.EPOLL_CTL_ADD
		if !p.enter(c) {
			return false
		}
	}
	p.mu.Lock()
	epoll := p.descriptor // valid as long as c has its slot
	p.mu.Unlock()
	armed := false
	err := c.raw.Control(func(descriptor uintptr) {
		event := syscall.EpollEvent{
			Events: what | epollOneShot,
			Fd:     int32(c.slot - 1),
		}
		armed = syscall.EpollCtl(epoll, operation, int(descriptor), &event) == nil
	})
	if err == nil && armed {
		return true
	}
	if operation == syscall.EPOLL_CTL_ADD {
		p.leave(c)
	}
	return false
}

// enter gives a connection its slot.
func (p *parking) enter(c *wsConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil && !p.openLocked() {
		return false
	}
	if n := len(p.free); n > 0 {
		c.slot = p.free[n-1]
		p.free = p.free[:n-1]
		p.slots[c.slot-1] = c
	} else {
		p.slots = append(p.slots, c)
		c.slot = len(p.slots)
	}
	p.used++
	return true
}

// leave frees the slot of a connection that will not be parked again.
func (p *parking) leave(c *wsConn) {
	if c.slot == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slots[c.slot-1] = nil
	p.free = append(p.free, c.slot)
	c.slot = 0
	if p.used--; p.used == 0 {
		// Closing ends wait, and waits for it, which may be about to take mu or the ending of a connection.
		file := p.file
		p.running.Go(func() { _ = file.Close() })
		p.file, p.slots, p.free = nil, nil, nil
	}
}

func (p *parking) openLocked() bool {
	descriptor, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return false
	}
	// The runtime waits for descriptors that do not block, and takes no thread for it.
	if err := syscall.SetNonblock(descriptor, true); err != nil {
		_ = syscall.Close(descriptor)
		return false
	}
	p.file, p.descriptor = os.NewFile(uintptr(descriptor), "epoll"), descriptor
	file := p.file
	p.running.Go(func() { p.wait(file) })
	return true
}

// wait wakes connections until file is closed.
func (p *parking) wait(file *os.File) {
	epoll, err := file.SyscallConn()
	if err != nil {
		return // closed
	}
	events := make([]syscall.EpollEvent, parkingEvents)
	due := make([]*wsConn, 0, parkingEvents)
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
			for _, c := range due {
				c.wake()
			}
			clear(due)
		}
	})
}

// find appends the connections that events are about.
func (p *parking) find(due []*wsConn, events []syscall.EpollEvent) []*wsConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range events {
		if slot := int(e.Fd); slot < len(p.slots) && p.slots[slot] != nil {
			due = append(due, p.slots[slot])
		}
	}
	return due
}
