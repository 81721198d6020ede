//go:build unix

package relay

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// reader returns a function that reads what has arrived into a pooled buffer, which the caller gives back. It waits for
// input without a buffer.
func reader(from net.Conn) func() ([]byte, int, error) {
	conn, ok := from.(syscall.Conn)
	if !ok {
		return func() ([]byte, int, error) { return readBuffered(from) }
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return func() ([]byte, int, error) { return nil, 0, err }
	}
	return func() (buffer []byte, n int, err error) {
		// The runtime watches for edges, so each wait has to follow a read that found nothing.
		waited := raw.Read(func(fd uintptr) bool {
			buffer = buffers.Get()
			for {
				n, err = syscall.Read(int(fd), buffer)
				if !errors.Is(err, syscall.EINTR) {
					break
				}
			}
			if errors.Is(err, syscall.EAGAIN) {
				buffers.Put(buffer)
				buffer = nil
				return false
			}
			return true
		})
		if waited != nil {
			return nil, 0, waited
		}
		if n == 0 && err == nil {
			err = io.EOF
		}
		return buffer, n, err
	}
}
