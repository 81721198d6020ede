//go:build !linux

package wsconn

import "syscall"

// Elsewhere than on Linux every connection has a reader that waits, with its buffer.

func (c *Conn) rawFill() error                        { return syscall.EINVAL }
func (c *Conn) rawWrite(*Writer, pieces) (int, error) { return 0, syscall.EINVAL }
func (c *Conn) readAll() error                        { return syscall.EINVAL }

type writeCall struct{}

func (*writeCall) prepare(func()) {}

type readRun struct{ drained bool }

// Acked is not known here.
func (c *Conn) Acked() (bytes uint64, pending bool) { return 0, false }
