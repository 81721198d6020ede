//go:build linux

package load

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// States of a socket.
const (
	socketConnecting = iota
	socketSecuring   // a TLS handshake is under way
	socketUpgrading
	socketOpen
	socketClosed
)

// What a socket is for.
const (
	kindWebSocket = iota
	kindGet
	kindPost
)

// socket is one TCP connection.
type socket struct {
	fd         int32
	slot       int32 // in worker.sockets
	generation int32 // tells an event of this socket from one of the socket that had its slot before
	kind       uint8
	state      uint8
	armed      bool // the epoll set reports that it can be written
	dirty      bool
	busy       bool // polling: a request is under way
	c          *client
	in         []byte // an incomplete frame or response
	out        []byte // not yet written
	fragments  []byte // of a WebSocket message
	secure     *secure
}

func (w *worker) dial(c *client, kind uint8) (*socket, error) {
	s := &socket{fd: -1, c: c, kind: kind}
	t := &w.g.targets[c.target]
	family, address := t.address()
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		s.state = socketClosed
		return s, fmt.Errorf("socket: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err := w.g.connectSocket(fd, address, c.id); err != nil {
		s.state = socketClosed
		return s, errors.Join(err, unix.Close(fd))
	}
	s.fd = int32(fd)
	if k := len(w.free); k > 0 {
		s.slot = w.free[k-1]
		w.free = w.free[:k-1]
		w.sockets[s.slot] = s
	} else {
		s.slot = int32(len(w.sockets))
		w.sockets = append(w.sockets, s)
	}
	w.generation++
	s.generation, s.armed = w.generation, true
	if err := w.watch(s, unix.EPOLL_CTL_ADD); err != nil {
		w.closeSocket(s, false)
		return s, err
	}
	return s, nil
}

// connectSocket begins to connect fd, from the local address that belongs to the client.
func (g *generator) connectSocket(fd int, address unix.Sockaddr, id int) error {
	if g.addresses > 0 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		k := id % g.addresses
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, byte(1 + k/250), byte(1 + k%250)}}); err != nil {
			return fmt.Errorf("bind: %w", err)
		}
	}
	if err := unix.Connect(fd, address); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

func (w *worker) watch(s *socket, operation int) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: s.slot, Pad: s.generation}
	if s.armed {
		event.Events |= unix.EPOLLOUT
	}
	if err := unix.EpollCtl(w.epoll, operation, int(s.fd), &event); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// arm says whether to report that s can be written.
func (w *worker) arm(s *socket, armed bool) {
	if s.armed != armed {
		s.armed = armed
		_ = w.watch(s, unix.EPOLL_CTL_MOD) // it is in the set
	}
}

// closeSocket closes s, which may be nil. A reset leaves no port in TIME_WAIT, which churn would run out of.
func (w *worker) closeSocket(s *socket, reset bool) {
	if s == nil || s.state == socketClosed {
		return
	}
	securing := s.state == socketSecuring
	s.state = socketClosed
	if s.fd >= 0 {
		if reset {
			_ = unix.SetsockoptLinger(int(s.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		}
		if securing { // the goroutine that has the descriptor ends, and endTLS closes it
			_ = unix.Shutdown(int(s.fd), unix.SHUT_RDWR) // fails on a connection that is over
		} else {
			_ = unix.Close(int(s.fd))
		}
		w.sockets[s.slot] = nil
		w.free = append(w.free, s.slot)
	}
	s.in, s.out, s.fragments = nil, nil, nil
}

// silence stops reading s and leaves it open, as a line does that forwards nothing any more.
func (w *worker) silence(s *socket) (fd int) {
	_ = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_DEL, int(s.fd), nil)
	fd, s.fd = int(s.fd), -1
	w.sockets[s.slot] = nil
	w.free = append(w.free, s.slot)
	w.closeSocket(s, false)
	return fd
}

// mark has s written when the worker has handled what it is handling.
func (w *worker) mark(s *socket) {
	if !s.dirty {
		s.dirty = true
		w.dirty = append(w.dirty, s)
	}
}

func (w *worker) flush() {
	for i := 0; i < len(w.dirty); i++ { // a write that fails may append
		s := w.dirty[i]
		s.dirty = false
		if s.state != socketClosed {
			w.write(s)
		}
	}
	w.dirty = w.dirty[:0]
}

func (w *worker) write(s *socket) {
	if s.state < socketUpgrading {
		return // once it is connected
	}
	pending := &s.out
	if s.secure != nil {
		if err := s.secure.encrypt(s); err != nil {
			w.fail(s.c, fmt.Errorf("write: %w", err))
			return
		}
		pending = &s.secure.out
	}
	for len(*pending) > 0 {
		n, err := unix.Write(int(s.fd), *pending)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			w.arm(s, true)
			return
		case err != nil:
			w.fail(s.c, fmt.Errorf("write: %w", err))
			return
		}
		*pending = (*pending)[n:]
	}
	if cap(*pending) > 4096 {
		*pending = nil
	} else {
		*pending = (*pending)[:0]
	}
	w.arm(s, false)
}

// writable goes on with a socket that has just connected, or that takes more.
func (w *worker) writable(s *socket) {
	if s.state == socketConnecting {
		if code, err := unix.GetsockoptInt(int(s.fd), unix.SOL_SOCKET, unix.SO_ERROR); err == nil && code != 0 {
			w.fail(s.c, fmt.Errorf("connect: %w", unix.Errno(code)))
			return
		}
		if t := &w.g.targets[s.c.target]; t.tls != nil {
			w.beginTLS(s, t.tls)
			return
		}
		s.connected()
	}
	w.write(s)
}

// connected is the state after TCP and TLS.
func (s *socket) connected() {
	if s.state = socketOpen; s.kind == kindWebSocket {
		s.state = socketUpgrading
	}
}

// readable reads what has arrived: for plain sockets 64 KiB at most, which stays in the processor's cache.
func (w *worker) readable(s *socket) {
	for again := true; again && s.state != socketClosed; again = s.secure != nil {
		held := 0
		if len(s.in) > 0 {
			if len(s.in) > len(w.buffer)/2 {
				w.buffer = make([]byte, len(s.in)*4)
			}
			held = copy(w.buffer, s.in)
		}
		n, err := w.receive(s, w.buffer[held:min(held+64<<10, len(w.buffer))])
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			return
		}
		if errors.Is(err, io.EOF) && s.kind != kindWebSocket && s.c.stage == clientReady && !s.busy {
			w.closeSocket(s, false) // an idle connection for requests may go
			return
		}
		if err != nil {
			w.fail(s.c, readError(err))
			return
		}
		w.now = now()
		if err := w.takeIn(s, w.buffer[:held+n]); err != nil {
			w.fail(s.c, err)
			return
		}
	}
}

func readError(err error) error {
	if errors.Is(err, io.EOF) {
		return errClosed
	}
	return fmt.Errorf("read: %w", err)
}

func (w *worker) receive(s *socket, into []byte) (int, error) {
	if s.secure != nil {
		return s.secure.conn.Read(into)
	}
	n, err := unix.Read(int(s.fd), into)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

// takeIn decodes what s has received, and keeps what is incomplete.
func (w *worker) takeIn(s *socket, data []byte) error {
	decode := w.webSocketInput
	if s.kind != kindWebSocket {
		decode = w.httpInput
	}
	rest, err := decode(s, data)
	if err != nil || s.state == socketClosed {
		return err
	}
	if len(rest) == 0 && cap(s.in) > 8192 {
		s.in = nil
	} else {
		s.in = append(s.in[:0], rest...)
	}
	return nil
}
