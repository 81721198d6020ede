package conn

import (
	"fmt"
	"sync/atomic"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Event is an event as it came in.
type Event struct {
	Name string
	Args packet.Args // without the name
	Ack  Ack         // zero when none was asked for
}

// Ack acknowledges one event; only the first call counts. The zero Ack goes nowhere. It may be kept and used later, from
// any goroutine.
type Ack struct{ pending *pendingAck }

// pendingAck is what the copies of an Ack share.
type pendingAck struct {
	sent atomic.Bool
	to   Acknowledger
	id   uint64
}

// Acknowledger carries acknowledgements to the side that sent the event.
type Acknowledger interface {
	// SendAck acknowledges the event that came with the id. It does not block.
	SendAck(id uint64, args packet.Args) error
}

// NewAck returns the Ack of an event that came with an id.
func NewAck(to Acknowledger, id uint64) Ack { return Ack{&pendingAck{to: to, id: id}} }

// Wanted reports whether the sender asked for an acknowledgement.
func (a Ack) Wanted() bool { return a.pending != nil }

// Send acknowledges the event with args. ErrAcknowledged when that has happened before, ErrDisconnected when the socket
// has gone. Where none was asked for it does nothing.
func (a Ack) Send(args ...any) error {
	if a.pending == nil {
		return nil
	}
	list, err := packet.Marshal(args...)
	if err != nil {
		return fmt.Errorf("socketio: encode acknowledgement: %w", err)
	}
	return a.SendArgs(list)
}

// SendArgs is Send with the arguments as they travel.
func (a Ack) SendArgs(args packet.Args) error {
	switch {
	case a.pending == nil:
		return nil
	case a.pending.sent.Swap(true):
		return ErrAcknowledged
	}
	return a.pending.to.SendAck(a.pending.id, args)
}
