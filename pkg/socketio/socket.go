package socketio

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// state is how far a socket's stay has come. States are gone through in this order; the client's mu guards the changes.
type state = uint32

const (
	statePending   state = iota // its CONNECT is queued or passes the middlewares
	stateAnswering              // for the moment in which the answer is queued
	stateConnected
	stateLeft  // by its client's wish or with its connection: what was queued before is still handled
	stateEnded // from here, or refused: what is queued is dropped
)

// Socket is one client in one namespace. All methods are safe for concurrent use.
type Socket struct {
	// Static after construction.
	id      string
	name    string // of the namespace, as the client spelled it
	client  *client
	auth    []byte
	msgpack bool // the client's parser

	// Owned by whoever works for the connection: the worker, or the reader while there is none.
	entered bool  // the connect handlers were called
	logic   Logic // nil: the handlers; set before the socket is connected

	state atomic.Uint32
	end   *end // static once state is stateLeft or stateEnded

	// Static from the first middleware on.
	nsp    *Namespace
	member rooms.Member[*Socket]

	outgoing atomic.Pointer[[]func(Event)] // OnAnyOutgoing's; replaced under mu, never changed

	mu sync.Mutex
	// mu guards the following.
	data     any
	handlers *handlers                     // nil until one is set
	done     chan struct{}                 // closed when the socket goes; nil until a context's Done is asked for
	acks     map[uint64]chan<- packet.Args // acknowledgements waited for; buffered, closed when the socket goes
}

// end is how a socket's stay ended.
type end struct {
	reason string
	cause  error // nil: there is no more to say
}

func newSocket(c *client, nsp string, auth []byte, msgpack bool) *Socket {
	s := &Socket{name: nsp, client: c, auth: auth, msgpack: msgpack}
	switch {
	case c.session.Revision() != 3:
		s.id = c.io.cfg.Engine.Tag() + randomID(randomBytes)
	case nsp == "/":
		s.id = c.session.ID()
	default:
		s.id = nsp + "#" + c.session.ID() // 2.x clients work it out themselves
	}
	return s
}

// ID is the socket's id: twenty URL-safe characters that cannot be guessed, and the name of its own room. A 2.x
// client's is made of its session's id, which is a secret.
func (s *Socket) ID() string { return s.id }

// Namespace is the namespace the socket is in.
func (s *Socket) Namespace() *Namespace { return s.nsp }

// Session is the connection, shared by the client's sockets in all namespaces.
func (s *Socket) Session() *engine.Session { return s.client.session }

// Handshake describes the connection's first request. It is read anew by each call.
func (s *Socket) Handshake() engine.Handshake { return s.client.session.Handshake() }

// Auth is the JSON object the client sent with CONNECT, for 2.x clients the query behind the namespace as strings; nil
// when it sent none.
func (s *Socket) Auth() packet.Args { return packet.Args{JSON: s.auth} }

// UnmarshalAuth decodes Auth into v, a pointer, as encoding/json does. When the client sent none, v stays as it is.
func (s *Socket) UnmarshalAuth(v any) error {
	if s.auth == nil {
		return nil
	}
	if err := packet.Unmarshal(s.auth, nil, v); err != nil {
		return fmt.Errorf("socketio: decode auth: %w", err)
	}
	return nil
}

// Data returns the value SetData was given last.
func (s *Socket) Data() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data
}

// SetData keeps one value of the application's. Other nodes' FetchSockets see it as JSON.
func (s *Socket) SetData(v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = v
}

// Emit sends an event to this client only. An ack function as last argument is not taken: see EmitWithAck. It may be
// used in middlewares: clients keep what comes before the CONNECT answer until then.
func (s *Socket) Emit(event string, args ...any) error { return s.emit(false, event, args) }

// EmitVolatile is Emit, but drops the event when the client is behind: its outbox holds 64 KiB, or it polls and has not
// done so for a second.
func (s *Socket) EmitVolatile(event string, args ...any) error { return s.emit(true, event, args) }

func (s *Socket) emit(volatile bool, event string, args []any) error {
	list, err := encodeEvent(event, args)
	if err != nil {
		return err
	}
	sent := s.sendEvent(volatile, eventPacket(s.name, list))
	if !sent && !volatile || s.state.Load() >= stateLeft {
		return ErrDisconnected
	}
	return nil
}

// EmitArgs is Emit with the arguments as they travel, event name first; volatile drops it when the client is behind.
func (s *Socket) EmitArgs(args packet.Args, volatile bool) {
	s.sendEvent(volatile, eventPacket(s.name, args))
}

// To addresses the members of rooms but this socket, on all nodes.
func (s *Socket) To(rooms ...string) Emitter { return s.Broadcast().To(rooms...) }

// Except addresses everyone in the namespace but the members of rooms and this socket.
func (s *Socket) Except(rooms ...string) Emitter { return s.Broadcast().Except(rooms...) }

// Broadcast addresses everyone in the namespace but this socket.
func (s *Socket) Broadcast() Emitter { return s.nsp.Except(s.id) }

// OnAnyOutgoing adds a listener that is told of every event queued for this client, broadcasts included,
// acknowledgements not. It is called by whoever sends, be it the cluster: it must not block, and the event is shared.
func (s *Socket) OnAnyOutgoing(f func(e Event)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []func(Event)
	if have := s.outgoing.Load(); have != nil {
		list = *have
	}
	list = append(slices.Clip(list), f)
	s.outgoing.Store(&list)
}

// sendEvent sends an event to the client, also while the socket is being connected.
func (s *Socket) sendEvent(volatile bool, o outgoing) bool {
	if !s.send(volatile, &o) {
		return false
	}
	s.tell(&o)
	return true
}

// send queues a packet for the client, also while the socket is being connected.
func (s *Socket) send(volatile bool, o *outgoing) bool {
	return s.state.Load() < stateLeft && s.queue(volatile, o)
}

// deliver queues a broadcast if the socket is connected.
func (s *Socket) deliver(volatile bool, o *outgoing) bool {
	if s.state.Load() == stateAnswering {
		s.client.mu.Lock()   // until the answer is queued
		s.client.mu.Unlock() //nolint:staticcheck // an empty section: only the waiting is wanted
	}
	if s.state.Load() != stateConnected || !s.queue(volatile, o) {
		return false
	}
	s.tell(o)
	return true
}

// queue hands a packet to the session.
func (s *Socket) queue(volatile bool, o *outgoing) bool {
	frames := o.frames(s)
	return len(frames) > 0 && s.client.session.Send(volatile, frames...)
}

// tell calls the listeners for what the client is sent.
func (s *Socket) tell(o *outgoing) {
	listeners := s.outgoing.Load()
	if listeners == nil {
		return
	}
	for _, f := range *listeners {
		s.client.io.call(f, o.asEvent())
	}
}
