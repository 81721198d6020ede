package socketio

import (
	"context"
	"fmt"
	"slices"

	"github.com/carillon-io/carillon/internal/sio/hub"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
)

// Emitter addresses a set of sockets on all nodes. It is a value; each operator returns a new one. It comes from a
// Namespace, where it addresses everyone, or from a Socket, where it leaves that one out.
type Emitter struct {
	nsp       *Namespace
	target    rooms.Target
	none      bool // To was called, and named no room
	volatile  bool
	local     bool
	plain     bool // Compress(false)
	published func(error)
	cause     string // W3C trace context
}

// To addresses the members of rooms, in addition to those of an earlier To; a socket in several of them counts once. To
// without any room addresses no socket, so that an empty list never means everyone.
func (e Emitter) To(rooms ...string) Emitter {
	e.target.Rooms = append(slices.Clip(e.target.Rooms), rooms...)
	e.none = len(e.target.Rooms) == 0
	return e
}

// Except leaves out the members of rooms. A socket is left out by its id.
func (e Emitter) Except(rooms ...string) Emitter {
	e.target.Except = append(slices.Clip(e.target.Except), rooms...)
	return e
}

// Volatile drops the event for each client that is behind, instead of queueing it.
func (e Emitter) Volatile() Emitter {
	e.volatile = true
	return e
}

// Compress makes the event leave uncompressed, when given false: for what does not get shorter, such as pictures.
func (e Emitter) Compress(compress bool) Emitter {
	e.plain = !compress
	return e
}

// Local addresses sockets of this node only.
func (e Emitter) Local() Emitter {
	e.local = true
	return e
}

// Published makes Emit, and the other calls that send something, report to done, exactly once, when the cluster took
// it, or with the adapter's error; without a cluster, when it was delivered here. It is not called when Emit returns an
// error: then nothing was sent. done must not block.
func (e Emitter) Published(done func(error)) Emitter {
	e.published = done
	return e
}

// Emit sends the event to every addressed socket, local ones first and without waiting for the cluster. Where the cluster
// has one order for all nodes (adapter.Adapter.Echoes), local ones are sent it in its place in that order, and not at all
// when the cluster does not take it.
func (e Emitter) Emit(event string, args ...any) error {
	list, err := encodeEvent(event, args)
	if err != nil {
		return err
	}
	e.emit(list)
	return nil
}

// EmitArgs is Emit with the arguments as they travel, event name first.
func (e Emitter) EmitArgs(args Args) error {
	if err := checkEvent(args); err != nil {
		return err
	}
	e.emit(args)
	return nil
}

// SocketsJoin makes the addressed sockets join rooms. Sockets of this node are in them when it returns, unless the cluster
// echoes; what this process sends to the rooms afterwards reaches those of other nodes too. What another process sends right then may pass before
// their node has subscribed to the room: where that matters, have the socket's own node call Socket.JoinThen.
func (e Emitter) SocketsJoin(rooms ...string) {
	e.apply(adapter.Join{Namespace: e.nsp.name, Target: e.target, Rooms: rooms})
}

// SocketsLeave makes the addressed sockets leave rooms.
func (e Emitter) SocketsLeave(rooms ...string) {
	e.apply(adapter.Leave{Namespace: e.nsp.name, Target: e.target, Rooms: rooms})
}

// DisconnectSockets takes the addressed sockets out of the namespace, and ends their connections if closeConnections.
func (e Emitter) DisconnectSockets(closeConnections bool) {
	e.apply(adapter.Disconnect{Namespace: e.nsp.name, Target: e.target, Close: closeConnections})
}

// EmitWithAck sends the event and collects what the clients acknowledge it with, in the order it comes in, until all
// have or ctx ends; without a deadline in ctx, after Config.AckTimeout. With an error the list holds what came in until
// then: ctx's error when clients did not answer in time, a MissingError when nodes did not.
func (e Emitter) EmitWithAck(ctx context.Context, event string, args ...any) ([]Args, error) {
	list, err := encodeEvent(event, args)
	if err != nil || e.none {
		return nil, err
	}
	ctx, cancel := e.nsp.io.withDeadline(ctx)
	defer cancel()
	acked, err := e.hub().EmitWithAck(ctx, e.broadcast(list), e.local)
	if err != nil {
		err = fmt.Errorf("socketio: acknowledgements of %q: %w", event, err)
	}
	return acked, err
}

// FetchSockets lists the addressed sockets of all nodes. With an error, a MissingError among them, the list holds what
// is known.
func (e Emitter) FetchSockets(ctx context.Context) ([]RemoteSocket, error) {
	if e.none {
		return nil, nil
	}
	list, err := e.hub().FetchSockets(ctx, e.target, e.local)
	sockets := make([]RemoteSocket, len(list))
	for i, info := range list {
		sockets[i] = RemoteSocket{SocketInfo: info, nsp: e.nsp}
	}
	return sockets, err
}

// LocalSockets lists the addressed sockets of this node.
func (e Emitter) LocalSockets() []*Socket {
	var list []*Socket
	if !e.none {
		e.hub().Each(e.target, func(m *hub.Member) {
			if r, ok := m.Value().(*recipient); ok {
				list = append(list, (*Socket)(r))
			}
		})
	}
	return list
}

func (e Emitter) emit(args Args) { e.apply(e.broadcast(args)) }

func (e Emitter) broadcast(args Args) adapter.Broadcast {
	return adapter.Broadcast{
		Namespace: e.nsp.name, Args: args, Target: e.target, Volatile: e.volatile, NoCompress: e.plain, TraceParent: e.cause,
	}
}

// apply does here what the command says, then hands it to the other nodes.
func (e Emitter) apply(c adapter.Command) {
	if !e.none {
		e.hub().Publish(c, e.local, e.published)
	} else if e.published != nil {
		e.published(nil)
	}
}

// hub is that of the namespace, or of the one that has come in its place.
func (e Emitter) hub() *hub.Hub { return e.nsp.living().hub }
