package socketio

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/carillon-io/carillon/internal/sio/hub"
)

// Namespace is a communication channel of its own on the shared connections: its own handlers, rooms and sockets.
// All methods are safe for concurrent use.
type Namespace struct {
	// Emitter addresses everyone in the namespace, on all nodes. It is not to be changed.
	Emitter

	// Static after construction.
	io     *Server
	name   string
	parent *ParentNamespace // that has its name; else nil
	hub    *hub.Hub
	done   chan struct{} // closed when the namespace ends on this node

	prepared sync.Once
	ready    bool // the parent's setup has returned; read after prepared

	open      atomic.Bool  // at the adapter; the table's opening guards changes
	connected atomic.Int64 // sockets
	inbox     inbox

	// The server's table guards the following.
	dynamic bool // ends with its last holder
	holders int  // sockets that enter, are in, or leave

	mu sync.RWMutex
	// mu guards the following. The slices are replaced, never changed.
	middlewares []func(context.Context, *Socket) error
	onConnect   []func(*Socket)
	logic       func(*Socket, *Values) Logic
}

func newNamespace(io *Server, name string, parent *ParentNamespace) *Namespace {
	n := &Namespace{io: io, name: name, parent: parent, done: make(chan struct{})}
	n.Emitter.nsp = n
	n.hub = io.hubs.New(name, n.serverEvent)
	return n
}

// prepare runs the parent's setup, once; all callers wait for it. It reports false when the setup panicked: no socket may
// enter then, for what should have checked it may be missing.
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

// Done is closed when the namespace ends on this node: one of OfFunc with its last socket, any by Close. What was
// started for it, as by the setup of OfFunc, ends then. A namespace of the same name that comes later is another one; what
// is sent through this one reaches it.
func (n *Namespace) Done() <-chan struct{} { return n.done }

// Use adds a middleware that each socket passes before it is connected. An error refuses the socket: *ConnectError goes
// to the client as it is, any other error as its text. ErrClose closes the connection instead, which clients try again.
// Middlewares may block; ctx is the socket's Context. They may join rooms and set data.
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

// SetLogic makes new sockets of the namespace follow the Logic that f returns for each of them, after the middlewares.
// Handlers of their events are not called then. shared outlives the socket: it is one for all namespaces of the
// connection, and ends with it. f is called like Logic.Enter.
func (n *Namespace) SetLogic(f func(s *Socket, shared *Values) Logic) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.logic = f
}

// entry returns what a new socket has to pass.
func (n *Namespace) entry() ([]func(context.Context, *Socket) error, func(*Socket, *Values) Logic) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.middlewares, n.logic
}

func (n *Namespace) connectHandlers() []func(*Socket) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.onConnect
}

// Sockets reports how many sockets of this node are connected to the namespace.
func (n *Namespace) Sockets() int { return int(n.living().connected.Load()) }

// Socket returns the socket of that id; nil when none of this node is connected.
func (n *Namespace) Socket(id string) *Socket {
	r, _ := n.living().hub.ByID(id).(*recipient)
	return (*Socket)(r)
}

// AllRooms lists the rooms of all nodes, each once, sockets' own rooms included. With an error, a MissingError among
// them, the list holds what is known.
func (n *Namespace) AllRooms(ctx context.Context) ([]string, error) {
	return n.living().hub.AllRooms(ctx)
}

// RoomEvent is a change of a room on this node. Sockets' own rooms are rooms.
type RoomEvent = hub.RoomEvent

// RoomChange says what happened to a room, as far as the sockets of this node go.
type RoomChange = hub.RoomChange

// What can happen to a room.
const (
	RoomCreated = hub.RoomCreated // it has its first member
	RoomJoined  = hub.RoomJoined  // a socket is in it
	RoomLeft    = hub.RoomLeft    // a socket is no longer in it
	RoomDeleted = hub.RoomDeleted // its last member has left
)

// OnRoom adds a handler that is called as rooms come, fill, empty and go on this node, in the order of the changes, on one
// goroutine for the namespace. It may block; changes that are undone before its turn are left out. It is to be set before
// sockets connect.
func (n *Namespace) OnRoom(f func(e RoomEvent)) { n.hub.OnRoom(f) }
