package socketio

import (
	"errors"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
)

// selection is a list of members that is used again. It is filled by select and must be given back to release.
type selection = *[]*rooms.Member[*Socket]

// selectionKept is how many members a list used again has room for: 512 KiB, and a rare larger one is made anew.
const selectionKept = 64 << 10

// selected returns the members that match.
func (n *Namespace) selected(t rooms.Target) selection {
	list := n.io.members.Get().(selection)
	*list = n.index.AppendTo((*list)[:0], t)
	return list
}

func (n *Namespace) done(list selection) {
	clear(*list) // or the pool would keep sockets alive
	if cap(*list) <= selectionKept {
		n.io.members.Put(list)
	}
}

// apply does what a command says to the sockets of this node, in the same way whether it was given here or elsewhere. It
// returns to how many.
func (n *Namespace) apply(c adapter.Command) (sockets int) {
	switch c := c.(type) {
	case adapter.Broadcast:
		return n.deliver(&c)
	case adapter.Join:
		return n.each(c.Target, func(s *Socket) {
			if err := s.Join(c.Rooms...); errors.Is(err, ErrTooManyRooms) {
				n.io.metrics.dropped(dropRooms)
			}
		})
	case adapter.Leave:
		return n.each(c.Target, func(s *Socket) { s.Leave(c.Rooms...) })
	case adapter.Disconnect:
		return n.each(c.Target, func(s *Socket) {
			if c.Close {
				s.CloseConnection()
			} else {
				s.Disconnect()
			}
		})
	case adapter.ServerEmit:
		n.serverEvent(c.Args, nil)
	}
	return 0
}

// each calls f, which must not wait, for the connected sockets that match, and returns how many they are.
func (n *Namespace) each(t rooms.Target, f func(*Socket)) (sockets int) {
	list := n.selected(t)
	defer n.done(list)
	for _, m := range *list {
		if s := m.Value(); s.state.Load() == stateConnected {
			f(s)
			sockets++
		}
	}
	return sockets
}

// deliver sends a broadcast to the sockets of this node, and returns how many took it. It is encoded once, and nothing is
// allocated per recipient.
func (n *Namespace) deliver(b *adapter.Broadcast) (sent int) {
	list := n.selected(b.Target)
	defer n.done(list)
	if len(*list) == 0 {
		return 0
	}
	o := n.outgoing(b)
	for _, m := range *list {
		if m.Value().deliver(b.Volatile, &o) {
			sent++
		}
	}
	n.io.metrics.deliveries.Add(float64(sent))
	return sent
}

// outgoing is the packet of a broadcast.
func (n *Namespace) outgoing(b *adapter.Broadcast) outgoing {
	o := eventPacket(n.name, b.Args)
	o.received, o.noCompress = b.Received, b.NoCompress
	return o
}
