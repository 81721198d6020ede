package socketio

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/rooms"
)

// Namespace is a communication channel of its own on the shared connections: its own handlers, rooms and sockets.
// All methods are safe for concurrent use.
type Namespace struct {
	// Emitter addresses everyone in the namespace, on all nodes. It is not to be changed.
	Emitter

	// Static after construction.
	io     *Server
	name   string
	parent *ParentNamespace // whose name it has; else nil
	index  *rooms.Index[*Socket]

	prepared sync.Once
	ready    bool // the parent's setup has returned; read after prepared

	connected atomic.Int64  // sockets
	acks      atomic.Uint64 // the next id to ask clients for an acknowledgement under: one counter for all of them
	rounds    rounds
	inbox     inbox
	watch     watch

	// The server's table guards the following.
	dynamic bool // goes with its last holder
	holders int  // sockets on their way in, in, and on their way out

	mu sync.RWMutex
	// mu guards the following. The slices are replaced, never changed.
	middlewares []func(context.Context, *Socket) error
	onConnect   []func(*Socket)
	logic       func(*Socket, *Values) Logic
}

func newNamespace(io *Server, name string, parent *ParentNamespace) *Namespace {
	n := &Namespace{io: io, name: name, parent: parent, index: rooms.New[*Socket]()}
	n.Emitter.nsp = n
	n.rounds.metrics = io.metrics
	return n
}

// prepare runs the parent's setup, once, whoever comes first; everybody waits for it. It reports false when the setup panicked:
// nobody must come in then, for what should have checked him may be missing.
func (n *Namespace) prepare() bool {
	n.prepared.Do(func() {
		if n.parent != nil {
			n.parent.setup(n)
		}
		n.ready = true
	})
	return n.ready
}

// Name is the namespace's name, with its leading slash.
func (n *Namespace) Name() string { return n.name }

// Use adds a middleware that each socket passes before it is connected. An error refuses the socket: *ConnectError goes
// to the client as it is, any other error as its text. ErrClose closes the connection instead, which clients try again.
// Middlewares may block; ctx ends with the connection. They may join rooms and set data.
func (n *Namespace) Use(m func(ctx context.Context, s *Socket) error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.middlewares = append(slices.Clip(n.middlewares), m)
}

// OnConnect adds a handler that is called right after the CONNECT answer was queued. What the client sends meanwhile
// waits until it returns, so handlers it sets with Socket.On miss nothing.
func (n *Namespace) OnConnect(f func(s *Socket)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.onConnect = append(slices.Clip(n.onConnect), f)
}

// Logic decides for one socket, instead of handlers that are registered on it: see Namespace.SetLogic.
type Logic = conn.Logic

// Values are what the logics of a connection's sockets share.
type Values = conn.Values

// Shared returns the *T of v, a new one on first use.
func Shared[T any](v *Values) *T { return conn.Shared[T](v) }

// SetLogic makes new sockets of the namespace follow the Logic that f returns for each of them, after the middlewares.
// Handlers of their events are not called then. shared outlives the socket: it is one for all namespaces of the
// connection, and ends with it. f is called like Logic.Enter.
func (n *Namespace) SetLogic(f func(s *Socket, shared *Values) Logic) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.logic = f
}

// newLogic returns what decides for a new socket; nil: the handlers registered on it.
func (n *Namespace) newLogic(s *Socket) Logic {
	n.mu.RLock()
	f := n.logic
	n.mu.RUnlock()
	if f == nil {
		return nil
	}
	return f(s, &s.client.values)
}

// hooks returns what a socket has to pass, and who is told of it then.
func (n *Namespace) hooks() ([]func(context.Context, *Socket) error, []func(*Socket)) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.middlewares, n.onConnect
}

// Sockets reports how many sockets of this node are connected to the namespace.
func (n *Namespace) Sockets() int { return int(n.connected.Load()) }
