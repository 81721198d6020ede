//go:build !linux

package idle

const (
	// Input is input or the end of the stream.
	Input Event = iota
	// Hangup is the end of the stream alone.
	Hangup
)

// Poller serves no connection.
type Poller struct{}

// New makes a Poller.
func New(func(func())) *Poller { return &Poller{} }

// Arm returns false: the connection cannot be waited for.
func (*Poller) Arm(*Slot, Controller, Waker, Event) bool { return false }

// Sleep does nothing.
func (*Poller) Sleep(*Slot, *Conn) {}

// Remove does nothing.
func (*Poller) Remove(*Slot) {}
