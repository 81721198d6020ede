package idle

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a TCP connection that can sleep. Awake it is what package net, or os, makes of its descriptor, and the runtime waits
// for it. Asleep only the descriptor is left: that saves some 900 bytes, of the objects of package net and of the runtime's own
// entry for each descriptor. What does not have to wait is done with the bare descriptor; what has to wait wakes the connection.
//
// A descriptor in use is not closed: a moment later its number could be that of another connection.
type Conn struct {
	mu sync.Mutex
	// mu guards the following. It is a leaf.
	outer      net.Conn // the connection as it was handed over, which is closed in the end; nil: nothing is left of it
	awake      *awake   // nil: asleep
	descriptor int32
	calls      int16 // under way
	direct     int16 // of calls, those that use the bare descriptor
	slept      bool  // so awake is not outer
	closed     bool
	released   bool // the descriptor is closed, or about to be
}

// awake is a connection that the runtime waits for.
type awake struct {
	stream
	raw syscall.RawConn
}

// stream is what *net.TCPConn, a type that embeds it, and *os.File have in common.
type stream interface {
	io.ReadWriteCloser
	syscall.Conn
	SetDeadline(t time.Time) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
}

// A Detacher is a connection that wraps a *net.TCPConn and can do without it, such as one that a listener made to count its
// connections. Detach returns the connection within, and forgets it. Close is still called in the end.
type Detacher interface{ Detach() *net.TCPConn }

// NewConn takes a connection over. It returns nil for one that has no descriptor, such as one with TLS. A type that wraps a
// connection and has its SyscallConn must not change what is read and written; it sleeps only if it is a Detacher.
func NewConn(conn net.Conn) *Conn {
	switch c := conn.(type) {
	case *Conn:
		return c
	case *Records:
		return &c.Conn
	}
	if c := new(Conn); c.takeOver(conn) {
		return c
	}
	return nil
}

func (c *Conn) takeOver(conn net.Conn) bool {
	plain, ok := conn.(stream)
	if !ok {
		return false
	}
	raw, err := plain.SyscallConn()
	if err != nil {
		return false
	}
	c.outer, c.awake = conn, &awake{plain, raw}
	return raw.Control(func(descriptor uintptr) { c.descriptor = int32(descriptor) }) == nil
}

// Awake reports whether Sleep could save something.
func (c *Conn) Awake() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.awake != nil
}

// Sleep makes the connection sleep, unless a call is under way. Its descriptor has another number then, which no Poller knows.
// No deadline may be set.
func (c *Conn) Sleep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.awake == nil || c.calls > 0 || c.closed {
		return
	}
	_, plain := c.outer.(*net.TCPConn)
	detacher, wrapped := c.outer.(Detacher)
	if c.outer != nil && !plain && !wrapped {
		return
	}
	duplicate, err := unix.FcntlInt(uintptr(c.descriptor), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return // there are no descriptors left
	}
	stream := c.awake.stream
	switch {
	case c.slept:
	case wrapped:
		stream = detacher.Detach()
	default:
		c.outer = nil
	}
	_ = stream.Close() // of one of two descriptors: the connection goes on
	c.awake, c.slept, c.descriptor = nil, true, int32(duplicate)
}

// begin starts a call, which may use the descriptor until it calls end or wakes the connection.
func (c *Conn) begin() (descriptor uintptr, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	c.calls++
	c.direct++
	return uintptr(c.descriptor), nil
}

// end ends a call.
func (c *Conn) end(direct bool) {
	c.mu.Lock()
	c.calls--
	if direct {
		c.direct--
	}
	release := c.releaseLocked()
	c.mu.Unlock()
	if release != nil {
		_ = release() // nothing can be done about a failure
	}
}

// wait makes a call do without the descriptor, and go on with a connection that is awake.
func (c *Conn) wait(direct *bool) (*awake, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, net.ErrClosed
	}
	if err := c.wakeLocked(); err != nil {
		return nil, err
	}
	c.direct--
	*direct = false
	return c.awake, nil
}

func (c *Conn) wakeLocked() error {
	if c.awake != nil {
		return nil
	}
	file := os.NewFile(uintptr(c.descriptor), "connection") // the descriptor does not block: the runtime waits for it
	raw, err := file.SyscallConn()
	if err == nil {
		c.awake = &awake{file, raw}
	}
	return err
}

// Close closes the connection. What waits fails. A call that uses the descriptor keeps it until it returns; meanwhile the
// connection is shut down.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.closed = true
	release := c.releaseLocked()
	if release == nil {
		_ = unix.Shutdown(int(c.descriptor), unix.SHUT_RDWR) // fails on a connection that is over
	}
	c.mu.Unlock()
	if release == nil {
		return nil
	}
	return release()
}

// releaseLocked returns what closes the descriptor, once a closed connection is not used by it any more; before that nil.
func (c *Conn) releaseLocked() func() error {
	if !c.closed || c.direct > 0 || c.released {
		return nil
	}
	c.released = true
	w, outer, descriptor, slept := c.awake, c.outer, int(c.descriptor), c.slept
	return func() error {
		var err error
		switch {
		case !slept: // w is outer
		case w != nil:
			err = w.Close()
		default:
			err = unix.Close(descriptor)
		}
		if outer != nil {
			err = errors.Join(err, outer.Close())
		}
		return err
	}
}

// RawRead calls f with the descriptor, and again whenever there may be more to read, until it returns true.
func (c *Conn) RawRead(f func(descriptor uintptr) (done bool)) error {
	return c.call(f, syscall.RawConn.Read)
}

// RawWrite calls f with the descriptor, and again whenever more may be written, until it returns true.
func (c *Conn) RawWrite(f func(descriptor uintptr) (done bool)) error {
	return c.call(f, syscall.RawConn.Write)
}

func (c *Conn) call(f func(uintptr) bool, again func(syscall.RawConn, func(uintptr) bool) error) error {
	descriptor, err := c.begin()
	if err != nil {
		return err
	}
	direct := true
	defer func() { c.end(direct) }() // also when f ends its goroutine
	if f(descriptor) {
		return nil
	}
	w, err := c.wait(&direct)
	if err != nil {
		return err
	}
	return again(w.raw, f)
}

// Control calls f with the descriptor.
func (c *Conn) Control(f func(descriptor uintptr)) error {
	descriptor, err := c.begin()
	if err != nil {
		return err
	}
	defer c.end(true)
	f(descriptor)
	return nil
}

// Read waits for input, for which it wakes the connection.
func (c *Conn) Read(p []byte) (int, error) {
	if _, err := c.begin(); err != nil {
		return 0, err
	}
	direct := true
	defer func() { c.end(direct) }()
	w, err := c.wait(&direct)
	if err != nil {
		return 0, err
	}
	return w.Read(p)
}

// Write writes all of p. It sleeps on if the kernel has room.
func (c *Conn) Write(p []byte) (int, error) {
	descriptor, err := c.begin()
	if err != nil {
		return 0, err
	}
	direct := true
	defer func() { c.end(direct) }()
	n, err := writeNow(descriptor, p)
	if err != nil || n == len(p) {
		return n, err
	}
	w, err := c.wait(&direct)
	if err != nil {
		return n, err
	}
	more, err := w.Write(p[n:])
	return n + more, err
}

// writeNow writes what the kernel has room for, perhaps nothing.
func writeNow(descriptor uintptr, p []byte) (int, error) {
	n, err := Write(descriptor, p)
	if errors.Is(err, unix.EAGAIN) {
		err = nil
	}
	return n, err
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error { return c.setDeadline(t, stream.SetDeadline) }

// SetReadDeadline makes Read and RawRead fail that wait later than t. It wakes the connection, unless t is zero.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(t, stream.SetReadDeadline) }

// SetWriteDeadline makes Write and RawWrite fail that wait later than t. It wakes the connection, unless t is zero.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, stream.SetWriteDeadline) }

func (c *Conn) setDeadline(t time.Time, set func(stream, time.Time) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return net.ErrClosed
	case c.awake == nil && t.IsZero():
		return nil
	}
	if err := c.wakeLocked(); err != nil {
		return err
	}
	return set(c.awake.stream, t)
}

// SetLinger is that of *net.TCPConn, for seconds of 0 and more.
func (c *Conn) SetLinger(seconds int) error {
	return c.control(func(descriptor int) error {
		return unix.SetsockoptLinger(descriptor, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: int32(seconds)})
	})
}

// SetWriteBuffer sets how many bytes the kernel holds that have been written.
func (c *Conn) SetWriteBuffer(bytes int) error {
	return c.control(func(descriptor int) error {
		return unix.SetsockoptInt(descriptor, unix.SOL_SOCKET, unix.SO_SNDBUF, bytes)
	})
}

// CloseRead shuts down what comes.
func (c *Conn) CloseRead() error {
	return c.control(func(descriptor int) error { return unix.Shutdown(descriptor, unix.SHUT_RD) })
}

// CloseWrite shuts down what leaves.
func (c *Conn) CloseWrite() error {
	return c.control(func(descriptor int) error { return unix.Shutdown(descriptor, unix.SHUT_WR) })
}

func (c *Conn) control(f func(descriptor int) error) error {
	var failed error
	err := c.Control(func(descriptor uintptr) { failed = f(int(descriptor)) })
	return errors.Join(err, failed)
}

// NetConn returns the connection as it was handed over, nil once it has slept and nothing of it is left.
func (c *Conn) NetConn() net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.outer
}

// LocalAddr returns nil once the connection has slept, and so does RemoteAddr.
func (c *Conn) LocalAddr() net.Addr { return c.address(net.Conn.LocalAddr) }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.address(net.Conn.RemoteAddr) }

func (c *Conn) address(of func(net.Conn) net.Addr) net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.awake == nil {
		return nil
	}
	if conn, ok := c.awake.stream.(net.Conn); ok {
		return of(conn)
	}
	return nil
}
