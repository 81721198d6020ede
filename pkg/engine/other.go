//go:build !linux

package engine

import "syscall"

// Elsewhere than on Linux every connection has a reader that waits, with its buffer.

func (c *wsConn) rawFill() error { return syscall.EINVAL }
func (c *wsConn) rawWrite(*flusher, []byte, []*Frame, []byte) (int, error) {
	return 0, syscall.EINVAL
}

type writeCall struct{}

func (*writeCall) prepare(*flusher) {}

type readRun struct{ drained bool }

func (s *Session) readAll(*wsConn) error { return syscall.EINVAL }

// taken is not known here.
func (c *wsConn) taken() (bytes uint64, pending bool) { return 0, false }
