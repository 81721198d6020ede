package socketio

import (
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
	id     string
	name   string // of the namespace, as the client spelled it
	client *client
	auth   packet.Args

	// Static from the first middleware on.
	nsp    *Namespace
	member rooms.Member[*Socket]

	state  atomic.Uint32
	reason string // static once state is stateLeft or stateEnded

	// Owned by the worker.
	entered bool // the connect handlers were called

	mu sync.Mutex
	// mu guards the following.
	data          any
	handlers      map[string]handler
	others        func(Event) // handles events without a handler of their own
	disconnecting []func(string)
	disconnected  []func(string)
	acks          map[uint64]chan<- packet.Args // acknowledgements waited for; buffered, closed when the socket goes
}

func newSocket(c *client, nsp string, auth packet.Args) *Socket {
	s := &Socket{name: nsp, client: c, auth: auth}
	switch {
	case c.session.Revision() != 3:
		s.id = c.io.cfg.Engine.Tag + randomID(randomBytes)
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

// Handshake describes the connection's first request.
func (s *Socket) Handshake() engine.Handshake { return s.client.session.Handshake() }

// Auth is the JSON object the client sent with CONNECT; nil when it sent none. Its attachments, if any, with it.
func (s *Socket) Auth() packet.Args { return s.auth }

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

// Disconnect takes the socket out of the namespace and tells the client, which does not come back by itself.
func (s *Socket) Disconnect() { s.DisconnectWith(reasonServer) }

// DisconnectWith is Disconnect with a reason of the application's for the handlers, such as "token expired".
func (s *Socket) DisconnectWith(reason string) {
	c := s.client
	c.mu.Lock()
	connected := s.state.Load() == stateConnected
	ended := c.endLocked(s, stateEnded, reason)
	if ended && connected {
		s.tellDisconnect()
	}
	c.mu.Unlock()
	s.failAcks()
}

// CloseConnection disconnects every namespace of the connection (DISCONNECT for each), then closes it.
func (s *Socket) CloseConnection() { s.client.closeAll() }

// OnDisconnecting adds a handler that runs when the socket has gone, while its rooms still stand. Handlers added once
// it has gone are not called.
func (s *Socket) OnDisconnecting(f func(reason string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disconnecting = append(s.disconnecting, f)
}

// OnDisconnect adds a handler that runs after the rooms were left.
func (s *Socket) OnDisconnect(f func(reason string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disconnected = append(s.disconnected, f)
}

// leaveHooks returns who is to be told that the socket goes.
func (s *Socket) leaveHooks() (disconnecting, disconnected []func(string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.disconnecting, s.disconnected
}

// Emit sends an event to this client only. An ack function as last argument is not taken: see EmitWithAck. It may be
// used in middlewares: clients keep what comes before the CONNECT answer until then.
func (s *Socket) Emit(event string, args ...any) error {
	list, err := encodeEvent(event, args)
	if err != nil {
		return err
	}
	if !s.send(false, frames(&packet.Packet{
		Type: packet.Event, Namespace: s.name, Data: list.JSON, Attachments: list.Attachments,
	})) {
		return ErrDisconnected
	}
	return nil
}

// EmitArgs is Emit with the arguments as they travel, event name first; volatile drops it when the client is behind.
func (s *Socket) EmitArgs(args packet.Args, volatile bool) {
	s.send(volatile, frames(&packet.Packet{
		Type: packet.Event, Namespace: s.name, Data: args.JSON, Attachments: args.Attachments,
	}))
}

// To addresses the members of rooms but this socket, on all nodes.
func (s *Socket) To(rooms ...string) Emitter { return s.Broadcast().To(rooms...) }

// Except addresses everyone in the namespace but the members of rooms and this socket.
func (s *Socket) Except(rooms ...string) Emitter { return s.Broadcast().Except(rooms...) }

// Broadcast addresses everyone in the namespace but this socket.
func (s *Socket) Broadcast() Emitter { return s.nsp.emitter().Except(s.id) }

// send queues frames for the client, also while the socket is being connected.
func (s *Socket) send(volatile bool, frames []*engine.Frame) bool {
	return s.state.Load() < stateLeft && s.client.session.Send(volatile, frames...)
}

// deliver queues a broadcast's frames if the socket is connected.
func (s *Socket) deliver(volatile bool, frames []*engine.Frame) bool {
	if s.state.Load() == stateAnswering {
		s.client.mu.Lock()   // until the answer is queued
		s.client.mu.Unlock() //nolint:staticcheck // an empty section: only the waiting is wanted
	}
	return s.state.Load() == stateConnected && s.client.session.Send(volatile, frames...)
}
