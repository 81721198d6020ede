package hub

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/carillon-io/carillon/internal/recovery"
	"github.com/carillon-io/carillon/internal/sio/tally"
	"github.com/carillon-io/carillon/internal/sio/wire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Server is what the hubs of one server share.
type Server struct {
	Adapter adapter.Adapter
	Tally   *tally.Tally
	// MaxRooms returns how many rooms a member may be in, its own not counted; 0: any number.
	MaxRooms func() int
	// Recovery keeps what members may have to be sent again; nil: nothing is.
	Recovery *recovery.Store

	watchers sync.WaitGroup // one for each hub whose handlers of room events have something to do
}

// Wait waits until no handler of a room event runs.
func (s *Server) Wait() { s.watchers.Wait() }

// Hub is one namespace. All methods are safe for concurrent use, and block only where they take a context.
type Hub struct {
	// Static after construction.
	name        string
	server      *Server
	adapter     adapter.Adapter
	tally       *tally.Tally
	maxRooms    func() int
	serverEvent func(args packet.Args, reply func(packet.Args))
	index       *rooms.Index[Recipient]
	log         *recovery.Log // nil: no member is sent anything again
	moving      moving
	sessions    adapter.Sessions // where other nodes find members that this one has; nil: nowhere

	ids    atomic.Uint64 // the next id to ask clients for an acknowledgement under: one counter for all of them
	rounds rounds
	watch  watch
}

// New makes the hub of a namespace. serverEvent takes an event of another server; it must not block. reply, when not
// nil, is to be called once.
func (s *Server) New(name string, serverEvent func(args packet.Args, reply func(packet.Args))) *Hub {
	h := &Hub{
		name: name, server: s, adapter: s.Adapter, tally: s.Tally, maxRooms: s.MaxRooms,
		serverEvent: serverEvent, index: rooms.New[Recipient](),
	}
	h.rounds.acks = &s.Tally.Acks
	if s.Recovery != nil {
		h.log = s.Recovery.Log(name)
		h.moving.fencer = adapter.FencerOf(s.Adapter)
		h.sessions = adapter.SessionsOf(s.Adapter)
	}
	return h
}

// NextID returns an id that no other event of the namespace asks for an acknowledgement under.
func (h *Hub) NextID() uint64 { return h.ids.Add(1) - 1 }

// Publish does here what a command says, then hands it to the other nodes unless it is for this one alone. Where the adapter
// echoes, it is done here once it comes back. published, when not nil, is called once with what became of it in the cluster.
func (h *Hub) Publish(c adapter.Command, local bool, published func(error)) {
	if _, ok := c.(adapter.Broadcast); ok {
		h.tally.Local.Inc()
	}
	if !local && h.adapter.Echoes() {
		h.adapter.Publish(c, published)
		return
	}
	if h.inTurn(c) {
		h.publishInTurn(c, local, published)
		return
	}
	h.do(c)
	switch {
	case !local:
		h.adapter.Publish(c, published)
	case published != nil:
		published(nil)
	}
}

// Apply does what a command of another node says, and returns to how many members.
func (h *Hub) Apply(c adapter.Command) (members int) { return h.apply(c) }

// apply does what a command says to the members of this node, in the same way whether it was given here or elsewhere. It
// returns to how many.
func (h *Hub) apply(c adapter.Command) (members int) {
	if h.inTurn(c) {
		h.log.Begin()
		defer h.log.End()
	}
	return h.do(c)
}

// inTurn reports whether a command has a place among the events of the namespace. With the turn held, no absent member is
// replaced meanwhile by the one that its client comes back as.
func (h *Hub) inTurn(c adapter.Command) bool {
	_, event := c.(adapter.ServerEmit)
	return h.log != nil && !event
}

// do is apply for a caller that has the turn where that is needed.
func (h *Hub) do(c adapter.Command) (members int) {
	switch c := c.(type) {
	case adapter.Broadcast:
		if h.log != nil {
			return h.deliverInTurn(&c)
		}
		return h.deliver(&c)
	case adapter.Join:
		return h.command(c.Target, func(m *Member) {
			if err := h.Join(m, c.Rooms); errors.Is(err, ErrTooManyRooms) {
				h.tally.Dropped(tally.Rooms)
			}
		})
	case adapter.Leave:
		return h.command(c.Target, func(m *Member) { h.Leave(m, c.Rooms) })
	case adapter.Disconnect:
		return h.command(c.Target, func(m *Member) { m.Value().Disconnect(c.Close) })
	case adapter.ServerEmit:
		h.serverEvent(c.Args, nil)
	}
	return 0
}

// Each calls f, which must not block, for the connected members that match, and returns how many they are.
func (h *Hub) Each(t rooms.Target, f func(*Member)) (members int) {
	list := h.selected(t)
	defer done(list)
	for _, m := range *list {
		if m.Value().Connected() {
			f(m)
			members++
		}
	}
	return members
}

// command is Each with the absent members, to whom commands apply as well. The caller has the turn where that is needed.
func (h *Hub) command(t rooms.Target, f func(*Member)) (members int) {
	list := h.selected(t)
	defer done(list)
	for _, m := range *list {
		if m.Value().Connected() || h.log != nil && isAbsent(m.Value()) {
			f(m)
			members++
		}
	}
	return members
}

// deliver sends a broadcast to the members, and returns how many took it. It is encoded once, and nothing is allocated
// per recipient.
func (h *Hub) deliver(b *adapter.Broadcast) (sent int) {
	list := h.selected(b.Target)
	defer done(list)
	if len(*list) == 0 {
		return 0
	}
	message := h.borrow(b)
	defer giveBack(message)
	return h.send(*list, b.Volatile, message)
}

// send sends a broadcast to members.
func (h *Hub) send(list []*Member, volatile bool, message *wire.Message) (sent int) {
	for _, m := range list {
		if m.Value().Deliver(volatile, message) {
			sent++
		}
	}
	h.tally.Deliveries.Add(float64(sent))
	return sent
}

// message is the packet of a broadcast.
func (h *Hub) message(b *adapter.Broadcast) wire.Message {
	m := wire.Event(h.name, b.Args)
	m.Received, m.NoCompress = b.Received, b.NoCompress
	return m
}

// messages are those of broadcasts that have been sent: recipients keep none.
var messages = sync.Pool{New: func() any { return new(wire.Message) }}

// borrow is message for one that is used again. It must be given back once it has been sent.
func (h *Hub) borrow(b *adapter.Broadcast) *wire.Message {
	m := messages.Get().(*wire.Message)
	*m = h.message(b)
	return m
}

func giveBack(m *wire.Message) {
	*m = wire.Message{} // or the pool would keep its frames alive
	messages.Put(m)
}

// selection is a list of members that is used again. It is filled by selected and must be given back to done.
type selection = *[]*Member

// selectionKept is how many members a list used again has room for: 512 KiB, and a rare larger one is made anew.
const selectionKept = 64 << 10

var selections = sync.Pool{New: func() any { return new([]*Member) }}

// selected returns the members that match.
func (h *Hub) selected(t rooms.Target) selection {
	list := selections.Get().(selection)
	*list = h.index.AppendTo((*list)[:0], t)
	return list
}

func done(list selection) {
	clear(*list) // or the pool would keep members alive
	if cap(*list) <= selectionKept {
		selections.Put(list)
	}
}
