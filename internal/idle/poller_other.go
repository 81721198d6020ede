//go:build !linux

package idle

import "syscall"

const (
	// Input is input or the end of the stream.
	Input Event = iota
	// Hangup is the end of the stream alone.
	Hangup
)

// Poller refuses every connection.
type Poller struct{}

// New makes a Poller.
func New(func(func())) *Poller { return &Poller{} }

// Arm returns false: the connection cannot be waited for.
func (*Poller) Arm(*Slot, syscall.RawConn, Waker, Event) bool { return false }

// Remove does nothing.
func (*Poller) Remove(*Slot) {}
