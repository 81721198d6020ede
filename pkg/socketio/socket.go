package socketio

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/internal/sio/hub"
	"github.com/carillon-io/carillon/internal/sio/wire"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Socket is one client in one namespace. All methods are safe for concurrent use.
type Socket struct {
	// What a broadcast needs of each of its recipients lies together, from the end of member to the beginning of conn: of
	// thousands of sockets none is in the processor's cache.

	member   hub.Member                  // its place in the namespace
	outgoing atomic.Pointer[[]*listener] // OnAnyOutgoing's; replaced under mu, never changed
	conn     conn.Socket                 // its life

	// Static from the first middleware on.
	io    *Server
	nsp   *Namespace
	stay  *stay // what outlives the connection; nil: nothing does
	logic Logic // nil: the handlers; static once connected

	mu sync.Mutex
	// mu guards the following.
	extras *extras // nil until there are some: most sockets of a gateway have none
}

// extras are what only some sockets have. The lock of the socket guards them, but for values.
type extras struct {
	data     any
	values   Values
	handlers handlers
	left     []string // the rooms it was in when it went
}

func (s *Socket) extrasLocked() *extras {
	if s.extras == nil {
		s.extras = new(extras)
	}
	return s.extras
}

// ID is the socket's id: twenty URL-safe characters that cannot be guessed, and the name of its own room. A 2.x
// client's is made of its session's id, which is a secret.
func (s *Socket) ID() string { return s.conn.ID() }

// Namespace is the namespace the socket is in.
func (s *Socket) Namespace() *Namespace { return s.nsp }

// Session is the connection, shared by the client's sockets in all namespaces.
func (s *Socket) Session() *engine.Session { return s.conn.Session() }

// Context ends when the socket goes: when its client or the server takes it out of the namespace, or its connection
// ends. It has the values of the first request's context, as middlewares of the HTTP server have set them.
func (s *Socket) Context() context.Context { return s.conn.Context() }

// Connected reports whether the client has been told that it is connected, and the socket has not gone.
func (s *Socket) Connected() bool { return s.conn.Connected() }

// Handshake describes the connection's first request. It is read anew by each call.
func (s *Socket) Handshake() engine.Handshake {
	if s.stay != nil && s.stay.arrived != nil {
		return s.stay.arrived.handshake
	}
	return s.Session().Handshake()
}

// Auth is the JSON object the client sent with CONNECT, for 2.x clients the query behind the namespace as strings; nil
// when it sent none.
func (s *Socket) Auth() Args { return Args{JSON: s.conn.Auth()} }

// UnmarshalAuth decodes Auth into v, a pointer, as encoding/json does. When the client sent none, v stays as it is.
func (s *Socket) UnmarshalAuth(v any) error {
	auth := s.conn.Auth()
	if auth == nil {
		return nil
	}
	if err := packet.Unmarshal(auth, nil, v); err != nil {
		return fmt.Errorf("socketio: decode auth: %w", err)
	}
	return nil
}

// Data returns the value SetData was given last.
func (s *Socket) Data() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.extras == nil {
		return nil
	}
	return s.extras.data
}

// SetData keeps one value of the application's, which other nodes' FetchSockets see as JSON. What is for this node alone
// is for SetValue.
func (s *Socket) SetData(v any) {
	s.mu.Lock()
	s.extrasLocked().data = v
	s.mu.Unlock()
	s.keep()
}

// Rooms appends the rooms the socket is in to dst, its own room first; once it has gone, those it was in, until the
// handlers of OnDisconnecting have run.
func (s *Socket) Rooms(dst []string) []string {
	n := len(dst)
	if dst = s.nsp.hub.Rooms(dst, s.place()); len(dst) > n || !s.conn.Gone() {
		return dst
	}
	return append(dst, s.leftRooms()...)
}

// In reports whether the socket is in the room, in the sense of Rooms.
func (s *Socket) In(room string) bool {
	return s.nsp.hub.In(s.place(), room) || s.conn.Gone() && slices.Contains(s.leftRooms(), room)
}

// leftRooms returns the rooms that the socket was in when it went.
func (s *Socket) leftRooms() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.extras == nil {
		return nil
	}
	return s.extras.left
}

// Join puts the socket into rooms, here at once; other nodes' publishes follow once the cluster knows (JoinThen tells).
// Joining twice is harmless. ErrTooManyRooms when the limit would be passed: then no room was joined. A socket that has
// gone joins nothing: ErrDisconnected.
func (s *Socket) Join(rooms ...string) error {
	if len(rooms) == 0 {
		return nil
	}
	s.io.open(s.nsp)
	return joined(s.nsp.hub.Join(s.place(), rooms))
}

// JoinThen is Join, and calls done once every later publish on any node is certain to reach the socket, also where its client
// comes back elsewhere because this server was killed and sessions outlive that, or with the adapter's error (the membership
// stands all the same). done must not block.
func (s *Socket) JoinThen(done func(error), rooms ...string) {
	if len(rooms) == 0 {
		done(nil)
		return
	}
	s.io.open(s.nsp)
	s.nsp.hub.JoinThen(s.place(), rooms, func(err error) { done(joined(err)) })
}

// joined is what a join's error is to the application.
func joined(err error) error {
	if errors.Is(err, hub.ErrGone) {
		return ErrDisconnected
	}
	return err
}

// Stored calls done once the socket's rooms and Data as they are now outlive this server: a client that comes back elsewhere because
// this one was killed finds them. With adapters that do not keep sessions, and for sockets that have none, it is called at once with nil;
// with the adapter's error where Redis does not take the session in time. done must not block.
func (s *Socket) Stored(done func(error)) { s.nsp.hub.Stored([]string{s.ID()}, done) }

// Leave takes the socket out of rooms. Stored tells when that holds also for a client that comes back to another server.
func (s *Socket) Leave(rooms ...string) {
	if len(rooms) > 0 {
		s.nsp.hub.Leave(s.place(), rooms)
	}
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
	m := wire.Event(s.conn.Namespace(), list)
	return s.send(volatile, &m)
}

// EmitArgs is Emit with the arguments as they travel, event name first; volatile drops it when the client is behind.
func (s *Socket) EmitArgs(args Args, volatile bool) {
	m := wire.Event(s.conn.Namespace(), args)
	_ = s.send(volatile, &m)
}

// EmitWithAck sends an event and waits for the client's acknowledgement: its arguments. It fails at once when the
// socket goes (ErrDisconnected), and with ctx's error; without a deadline in ctx, after Config.AckTimeout.
func (s *Socket) EmitWithAck(ctx context.Context, event string, args ...any) (Args, error) {
	list, err := encodeEvent(event, args)
	if err != nil {
		return Args{}, err
	}
	ctx, cancel := s.io.withDeadline(ctx)
	defer cancel()
	m := wire.Event(s.conn.Namespace(), list)
	m.ID, m.HasID = s.nsp.hub.NextID(), true
	acked, err := s.conn.Ask(ctx, &m, s.tell)
	if err != nil {
		return Args{}, fmt.Errorf("socketio: acknowledgement of %q: %w", event, err)
	}
	return acked, nil
}

// To addresses the members of rooms but this socket, on all nodes.
func (s *Socket) To(rooms ...string) Emitter { return s.Broadcast().To(rooms...) }

// Except addresses everyone in the namespace but the members of rooms and this socket.
func (s *Socket) Except(rooms ...string) Emitter { return s.Broadcast().Except(rooms...) }

// Broadcast addresses everyone in the namespace but this socket.
func (s *Socket) Broadcast() Emitter { return s.nsp.Except(s.ID()) }

// Disconnect takes the socket out of the namespace and tells the client, which does not come back by itself.
func (s *Socket) Disconnect() { s.DisconnectWith(ServerDisconnect) }

// DisconnectWith is Disconnect with a reason of the application's for the handlers, such as "token expired".
func (s *Socket) DisconnectWith(reason Reason) {
	if !s.conn.Disconnect(reason) {
		s.kick(reason)
	}
}

// CloseConnection disconnects every namespace of the connection (DISCONNECT for each), then closes it.
func (s *Socket) CloseConnection() {
	s.conn.CloseConnection()
	s.kick(ServerDisconnect)
}

// Cause says more about a disconnect than its reason, as Node's description does: what was wrong with a packet of the
// client's, or the panic of a handler. It is nil when there is no more to say, and while the socket is connected.
func (s *Socket) Cause() error { return s.conn.Cause() }

// send queues an event for the client, also while the socket is being connected.
func (s *Socket) send(volatile bool, m *wire.Message) error {
	var err error
	switch {
	case s.stay == nil || m.HasID:
		err = s.conn.Send(volatile, m)
	case !s.conn.Connected() && !s.conn.Gone(): // in this order: one that goes in between has been connected
		err = s.sendEarly(volatile, m)
	case !volatile && s.nsp.hub.Echoes():
		return s.publishOwn(m)
	default:
		err = s.sendInTurn(volatile, m)
	}
	switch {
	case err == nil:
		s.tell(m)
	case errors.Is(err, conn.ErrBehind):
		return nil // as ordered
	}
	return err
}

// tell calls the listeners for what the client is sent.
func (s *Socket) tell(m *wire.Message) {
	listeners := s.outgoing.Load()
	if listeners == nil {
		return
	}
	for _, l := range *listeners {
		var e Event
		e.Name, e.Args = m.AsEvent()
		s.io.call(l.f, e)
	}
}
