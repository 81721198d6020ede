//go:build linux

package main

import (
	"encoding/binary"
	"runtime"
	"sync"
	"syscall"

	"github.com/carillon-io/carillon/test/bench/peers/wire"
)

// Flags of epoll and eventfd that syscall does not name.
const (
	exclusive = 1 << 28 // EPOLLEXCLUSIVE: one worker is woken for a new connection, not all
	nonblock  = syscall.O_NONBLOCK | syscall.O_CLOEXEC
)

// message is a frame for the members of a room, or for everybody if the room is "".
type message struct {
	room  string
	frame []byte // shared, never changed
}

// worker is one thread with its connections.
type worker struct {
	// Static after construction.
	epoll, wake, listener int
	all                   []*worker

	// Owned by the worker's thread.
	clients map[int32]*client
	rooms   map[string]*room
	dirty   []*client
	spare   [][]byte // emptied write buffers
	buffer  []byte   // what is being read

	mu sync.Mutex

	// mu guards the following.
	inbox []message
	woken bool
}

type client struct {
	fd      int32
	open    bool // the WebSocket handshake is over
	dirty   bool // listed in the worker's dirty
	blocked bool // the kernel takes no more; epoll tells when it does again
	places  []place
	in      []byte // an incomplete frame
	out     []byte // not yet written; nil when there is nothing
}

type room struct {
	name    string
	members []*client
}

// place is where a client stands in a room.
type place struct {
	room  *room
	index int
}

func newWorker(listener int, all []*worker) (*worker, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	wake, _, errno := syscall.RawSyscall(syscall.SYS_EVENTFD2, 0, nonblock, 0)
	if errno != 0 {
		return nil, errno
	}
	w := &worker{
		epoll: epoll, wake: int(wake), listener: listener, all: all, buffer: make([]byte, 64<<10),
		clients: make(map[int32]*client), rooms: make(map[string]*room),
	}
	if err := w.watch(syscall.EPOLL_CTL_ADD, w.wake, syscall.EPOLLIN); err != nil {
		return nil, err
	}
	return w, w.watch(syscall.EPOLL_CTL_ADD, listener, syscall.EPOLLIN|exclusive)
}

func (w *worker) watch(op, fd int, events uint32) error {
	return syscall.EpollCtl(w.epoll, op, fd, &syscall.EpollEvent{Events: events, Fd: int32(fd)})
}

func (w *worker) run() error {
	runtime.LockOSThread()
	events := make([]syscall.EpollEvent, 256)
	for {
		n, err := syscall.EpollWait(w.epoll, events, -1)
		if err != nil && err != syscall.EINTR {
			return err
		}
		for _, e := range events[:max(n, 0)] {
			switch int(e.Fd) {
			case w.listener:
				w.accept()
			case w.wake:
				var count [8]byte
				_, _ = syscall.Read(w.wake, count[:])
			default:
				w.ready(w.clients[e.Fd], e.Events)
			}
		}
		w.deliver()
		for _, c := range w.dirty { // all that came together in this turn goes out together
			c.dirty = false
			w.flush(c)
		}
		w.dirty = w.dirty[:0]
	}
}

func (w *worker) accept() {
	for range 16 { // the others may have the rest
		fd, _, err := syscall.Accept4(w.listener, nonblock)
		if err != nil {
			return
		}
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		w.clients[int32(fd)] = &client{fd: int32(fd)}
		_ = w.watch(syscall.EPOLL_CTL_ADD, fd, syscall.EPOLLIN)
	}
}

func (w *worker) ready(c *client, events uint32) {
	if c == nil {
		return // closed earlier in this turn
	}
	if events&syscall.EPOLLOUT != 0 {
		c.blocked = false
		_ = w.watch(syscall.EPOLL_CTL_MOD, int(c.fd), syscall.EPOLLIN)
		w.touch(c)
	}
	if events&^syscall.EPOLLOUT == 0 {
		return
	}
	kept := copy(w.buffer, c.in)
	n, err := syscall.Read(int(c.fd), w.buffer[kept:])
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return
	}
	if n <= 0 {
		w.close(c)
		return
	}
	rest := w.consume(c, w.buffer[:kept+n])
	if c.in = nil; len(rest) > 0 {
		c.in = append([]byte(nil), rest...)
	}
}

// publish hands the message to every worker, this one included.
func (w *worker) publish(m message) {
	for _, other := range w.all {
		other.mu.Lock()
		other.inbox = append(other.inbox, m)
		wake := !other.woken && other != w // this one looks before it sleeps
		other.woken = other.woken || wake
		other.mu.Unlock()
		if wake {
			one := binary.NativeEndian.AppendUint64(nil, 1)
			_, _ = syscall.Write(other.wake, one)
		}
	}
}

// deliver appends what was published to what waits for the members.
func (w *worker) deliver() {
	w.mu.Lock()
	inbox := w.inbox
	w.inbox, w.woken = nil, false
	w.mu.Unlock()
	for _, m := range inbox {
		if m.room == "" {
			for _, c := range w.clients {
				w.queue(c, m.frame)
			}
			continue
		}
		if r := w.rooms[m.room]; r != nil {
			for _, c := range r.members {
				w.queue(c, m.frame)
			}
		}
	}
}

func (w *worker) queue(c *client, frame []byte) {
	if !c.open {
		return
	}
	if n := len(w.spare); c.out == nil && n > 0 {
		c.out, w.spare = w.spare[n-1], w.spare[:n-1]
	}
	c.out = append(c.out, frame...)
	w.touch(c)
}

func (w *worker) touch(c *client) {
	if !c.dirty {
		c.dirty = true
		w.dirty = append(w.dirty, c)
	}
}

func (w *worker) flush(c *client) {
	if c.blocked || len(c.out) == 0 || w.clients[c.fd] != c {
		return
	}
	n, err := syscall.Write(int(c.fd), c.out)
	if err != nil && err != syscall.EAGAIN {
		w.close(c)
		return
	}
	if n = max(n, 0); n == len(c.out) {
		w.spare = append(w.spare, c.out[:0])
		c.out = nil
		return
	}
	c.out = c.out[:copy(c.out, c.out[n:])]
	c.blocked = true
	_ = w.watch(syscall.EPOLL_CTL_MOD, int(c.fd), syscall.EPOLLIN|syscall.EPOLLOUT)
}

func (w *worker) close(c *client) {
	delete(w.clients, c.fd)
	for _, p := range c.places {
		w.leave(p)
	}
	_ = syscall.Close(int(c.fd))
}

func (w *worker) join(c *client, name string) {
	r := w.rooms[name]
	if r == nil {
		r = &room{name: name}
		w.rooms[name] = r
	}
	c.places = append(c.places, place{r, len(r.members)})
	r.members = append(r.members, c)
}

// leave moves the room's last member to the free place.
func (w *worker) leave(p place) {
	last := len(p.room.members) - 1
	moved := p.room.members[last]
	p.room.members[p.index] = moved
	p.room.members = p.room.members[:last]
	for i := range moved.places {
		if moved.places[i].room == p.room {
			moved.places[i].index = p.index
		}
	}
	if last == 0 {
		delete(w.rooms, p.room.name)
	}
}

func (w *worker) send(c *client, text []byte) { w.queue(c, wire.AppendFrame(nil, text)) }
