//go:build linux

package load

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// secure is TLS on a socket. crypto/tls reads and writes a descriptor: waiting for it during the handshake, which has a
// goroutine, and never afterwards. Then an empty descriptor is an error that passes, which crypto/tls does not remember, and
// what it writes is kept for the worker.
type secure struct {
	conn  *tls.Conn
	fd    int
	waits bool // during the handshake
	late  time.Time
	out   []byte
}

// mostSecuring is how many handshakes are under way at once: each has a thread while it waits, and Go ends a process at 10,000.
const mostSecuring = 1000

// empty says that nothing has arrived.
type empty struct{}

func (empty) Error() string   { return "nothing has arrived" }
func (empty) Timeout() bool   { return false }
func (empty) Temporary() bool { return true }
func (empty) Unwrap() error   { return unix.EAGAIN }

// beginTLS does the handshake of s, during which the descriptor belongs to a goroutine.
func (w *worker) beginTLS(s *socket, config *tls.Config) {
	fd := int(s.fd)
	_ = unix.EpollCtl(w.epoll, unix.EPOLL_CTL_DEL, fd, nil)
	s.state = socketSecuring
	x := &secure{fd: fd, waits: true, late: time.Now().Add(w.g.o.HandshakeTimeout)}
	x.conn = tls.Client(x, config)
	w.securing.Add(1)
	go func() {
		defer w.securing.Done()
		w.g.securing <- struct{}{}
		err := x.conn.HandshakeContext(w.g.ctx)
		<-w.g.securing
		w.post(func(w *worker) { w.endTLS(s, x, err) })
	}()
}

func (w *worker) endTLS(s *socket, x *secure, err error) {
	if s.state == socketClosed {
		_ = unix.Close(x.fd)
		return
	}
	s.connected()
	if err == nil {
		err = w.watch(s, unix.EPOLL_CTL_ADD)
	}
	if err != nil {
		w.fail(s.c, err)
		return
	}
	s.secure, x.waits = x, false
	w.readable(s)
	if s.state != socketClosed {
		w.write(s)
	}
}

// encrypt moves what waits in s.out to x.out.
func (x *secure) encrypt(s *socket) error {
	if len(s.out) == 0 {
		return nil
	}
	_, err := x.conn.Write(s.out)
	s.out = s.out[:0]
	return err
}

func (x *secure) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(x.fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN) && !x.waits:
			return 0, empty{}
		case errors.Is(err, unix.EAGAIN):
			if err := x.await(unix.POLLIN); err != nil {
				return 0, err
			}
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (x *secure) Write(b []byte) (int, error) {
	if !x.waits {
		x.out = append(x.out, b...)
		return len(b), nil
	}
	for written := 0; ; {
		n, err := unix.Write(x.fd, b[written:])
		if written += max(n, 0); written == len(b) {
			return written, nil
		}
		if errors.Is(err, unix.EAGAIN) {
			err = x.await(unix.POLLOUT)
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return written, err
		}
	}
}

// await waits until the descriptor is ready, for as long as a handshake may take.
func (x *secure) await(events int16) error {
	left := time.Until(x.late)
	if left <= 0 {
		return context.DeadlineExceeded
	}
	_, err := unix.Poll([]unix.PollFd{{Fd: int32(x.fd), Events: events}}, int(left/time.Millisecond)+1)
	if errors.Is(err, unix.EINTR) {
		return nil
	}
	return err
}

func (*secure) Close() error                     { return nil } // the worker closes the descriptor
func (*secure) LocalAddr() net.Addr              { return nil }
func (*secure) RemoteAddr() net.Addr             { return nil }
func (*secure) SetDeadline(time.Time) error      { return nil }
func (*secure) SetReadDeadline(time.Time) error  { return nil }
func (*secure) SetWriteDeadline(time.Time) error { return nil }
