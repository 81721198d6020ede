//go:build !linux

package idle

import (
	"errors"
	"net"
	"syscall"
)

// Conn is a connection that can sleep. There is none here.
type Conn struct{ *net.TCPConn }

// A Detacher is a connection that wraps another and can do without it.
type Detacher interface{ Detach() *net.TCPConn }

// ErrNothing is what an eager Read returns instead of waiting.
var ErrNothing = errors.New("idle: nothing has arrived")

// NewConn returns nil.
func NewConn(net.Conn) *Conn { return nil }

// Read is not called.
func Read(uintptr, []byte) (int, error) { return 0, syscall.EINVAL }

// Awake is not called.
func (*Conn) Awake() bool { return true }

// RawRead is not called.
func (*Conn) RawRead(func(uintptr) bool) error { return syscall.EINVAL }

// RawWrite is not called.
func (*Conn) RawWrite(func(uintptr) bool) error { return syscall.EINVAL }

// Control is not called.
func (*Conn) Control(func(uintptr)) error { return syscall.EINVAL }

// Records is a connection that carries the records of TLS. There is none here.
type Records struct{ Conn }

// NewRecords returns nil.
func NewRecords(net.Conn) *Records { return nil }

// Eager is not called.
func (*Records) Eager(bool) {}

// Patient is not called.
func (*Records) Patient(func(bytes int)) {}

// Held is not called.
func (*Records) Held() int { return 0 }

// Delivered is not called.
func (*Records) Delivered() {}

// Rest is not called.
func (*Records) Rest() int { return 0 }

// Forget is not called.
func (*Records) Forget() {}

// Flush is not called.
func (*Records) Flush(func()) error { return syscall.EINVAL }
