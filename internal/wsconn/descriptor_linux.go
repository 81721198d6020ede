package wsconn

import (
	"errors"
	"io"
	"sync"
	"syscall"

	"github.com/carillon-io/carillon/internal/idle"
	"golang.org/x/sys/unix"
)

// readCall is one read that waits. They are pooled, as runs are: RawConn wants a function, and a closure would allocate.
type readCall struct {
	conn *Conn
	err  error
	try  func(descriptor uintptr) bool
}

var readCalls = sync.Pool{New: func() any {
	c := &readCall{}
	c.try = c.tryRead
	return c
}}

// rawFill reads more input. Within a run it does not wait.
func (c *Conn) rawFill() error {
	if c.run != nil {
		return c.fillNow(c.run.descriptor)
	}
	call := readCalls.Get().(*readCall)
	call.conn = c
	err := c.socket.RawRead(call.try)
	if err == nil {
		err = call.err
	}
	call.conn, call.err = nil, nil
	readCalls.Put(call)
	return err
}

func (r *readCall) tryRead(descriptor uintptr) (done bool) {
	r.err = r.conn.fillNow(descriptor)
	return !errors.Is(r.err, errIdle)
}

// fillNow is one read that does not wait.
func (c *Conn) fillNow(descriptor uintptr) error {
	p := c.in.Space()
	n, err := idle.Read(descriptor, p)
	c.in.Filled(n)
	switch {
	case n > 0:
		if c.run != nil {
			c.run.drained = n < len(p)
		}
		return nil
	case err == nil:
		return io.EOF
	case errors.Is(err, syscall.EAGAIN):
		return errIdle
	}
	return err
}

// readRun is a reader's stay at a descriptor, which it keeps while it waits, if the connection is busy.
type readRun struct {
	conn       *Conn
	descriptor uintptr
	drained    bool // the last read took all there was
	err        error
	try        func(descriptor uintptr) bool
}

var readRuns sync.Pool

func newReadRun() *readRun {
	if r, ok := readRuns.Get().(*readRun); ok {
		return r
	}
	r := &readRun{}
	r.try = r.readArrived
	return r
}

// readAll handles messages until the connection is idle, which is errIdle, or there is a reason to read no more.
func (c *Conn) readAll() error {
	r := newReadRun()
	r.conn, c.run = c, r
	if c.below != nil {
		c.below.Eager(true)
		defer c.below.Eager(false)
	}
	err := c.socket.RawRead(r.try)
	if err == nil {
		err = r.err
	}
	c.run = nil
	*r = readRun{try: r.try}
	readRuns.Put(r)
	return err
}

// readArrived handles what has arrived. It returns false to be called again when more has.
//
// A read that was not filled has taken all there was, and the next arrival calls again: another read would return EAGAIN,
// at the price of a system call for each message. A FIN that arrives with the last bytes raises no further edge, so the
// poller watches for it while the connection is busy.
func (r *readRun) readArrived(descriptor uintptr) (done bool) {
	r.descriptor, r.drained = descriptor, false
	for {
		err := r.conn.readMessage()
		switch {
		case err == nil:
		case errors.Is(err, errIdle) && r.conn.busy():
			return false
		default:
			r.err = err
			return true
		}
	}
}

// writeCall writes one batch to a descriptor. Small frames are copied together into a chunk that is given back before the
// peer is waited for: a client that does not read pins nothing but the shared frames.
type writeCall struct {
	pieces
	err error

	// Static.
	wait func() // of the Writer
	try  func(descriptor uintptr) bool
}

func (w *writeCall) prepare(wait func()) { w.wait, w.try = wait, w.tryWrite }

func (c *Conn) rawWrite(w *Writer, p pieces) (int, error) {
	call := &w.call
	call.pieces = p
	err := c.socket.RawWrite(call.try)
	if err == nil {
		err = call.err
	}
	n := call.written
	*call = writeCall{wait: call.wait, try: call.try}
	return n, err
}

func (w *writeCall) tryWrite(descriptor uintptr) (done bool) {
	for w.advance() {
		p, n, err := w.rest, 0, error(nil)
		if w.gathers() {
			buffer := chunks.Get().(*[Chunk]byte)
			n, err = idle.Write(descriptor, w.gather(buffer))
			chunks.Put(buffer)
		} else {
			n, err = idle.Write(descriptor, p)
		}
		if n > 0 {
			w.skip(n)
		}
		if errors.Is(err, syscall.EAGAIN) {
			w.wait()
			return false
		}
		if err != nil {
			w.err = err
			return true
		}
	}
	return true
}

// Acked is how many bytes the peer's kernel has acknowledged, and whether it has still to acknowledge some: how a client's
// progress shows, whatever is between us and its connection. Without TCP both are zero.
func (c *Conn) Acked() (bytes uint64, pending bool) {
	ask := func(descriptor uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(descriptor), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			bytes, pending = info.Bytes_acked, info.Unacked > 0 || info.Notsent_bytes > 0
		}
	}
	if c.socket != nil {
		_ = c.socket.Control(ask) // fails on a closed connection
	} else if tcp, ok := c.inner().(syscall.Conn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			_ = raw.Control(ask) // fails on a closed connection
		}
	}
	return bytes, pending
}
