package socketio

import (
	"context"
	"errors"
	"fmt"

	"github.com/carillon-io/carillon/internal/sio/hub"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// ErrExcept: CountSockets was called on an emitter with Except.
var ErrExcept = errors.New("socketio: sockets cannot be counted with exceptions")

// At addresses everyone in a namespace on all nodes without making the namespace here, which Of does for good: for
// programs that are told the names from outside. The name begins with a slash.
func (io *Server) At(name string) Emitter {
	if n := io.lookup(name); n != nil {
		return n.Emitter
	}
	n := newNamespace(io, name, nil)
	close(n.done) // so that one of that name which comes later takes its place
	return n.Emitter
}

// EmitElsewhere sends the event, its arguments as they travel and its name first, to the sockets of the other nodes only:
// for callers that deliver it here, with Local, once they know what became of it, unless Echoed says that it comes by itself.
// done is called exactly once, unless there is an error: with nil when the cluster took the event, else with the adapter's
// error. It must not block.
func (e Emitter) EmitElsewhere(args Args, done func(error)) error {
	if err := checkEvent(args); err != nil {
		return err
	}
	if e.none {
		done(nil)
		return nil
	}
	e.nsp.io.cfg.Adapter.Publish(e.broadcast(args), done)
	return nil
}

// Echoed reports whether what is published reaches this node's sockets by way of the cluster, and only so.
func (e Emitter) Echoed() bool { return e.nsp.io.cfg.Adapter.Echoes() }

// Traced names the W3C trace context of what causes the event, as the header traceparent has it: the spans of an adapter that
// makes some refer to it.
func (e Emitter) Traced(traceparent string) Emitter {
	e.cause = traceparent
	return e
}

// NodeCount is how many sockets one node has. Node is empty for a server that does not tell its name, as Node's do not.
type NodeCount = adapter.Counted

// CountSockets counts the addressed sockets on each node without listing them, this node first. With an error, a
// MissingError among them, the list holds what is known. Except is not supported: ErrExcept.
func (e Emitter) CountSockets(ctx context.Context) ([]NodeCount, error) {
	switch {
	case len(e.target.Except) > 0:
		return nil, ErrExcept
	case e.none:
		return nil, nil
	}
	return e.hub().CountSockets(ctx, e.target.Rooms)
}

// ListSockets lists addressed sockets of one node that CountSockets named, in the order of their ids: those with an id
// greater than after, limit of them at most. For the empty name it lists those of all servers that do not tell their names,
// which send their whole lists for each page. A node that has left the cluster is a MissingError.
func (e Emitter) ListSockets(ctx context.Context, node, after string, limit int) ([]RemoteSocket, error) {
	if e.none || limit <= 0 {
		return nil, nil
	}
	list, err := e.hub().ListSockets(ctx, e.target, node, after, limit)
	sockets := make([]RemoteSocket, len(list))
	for i, info := range list {
		sockets[i] = RemoteSocket{SocketInfo: info, nsp: e.nsp}
	}
	return sockets, err
}

// ConfirmJoin is SocketsJoin, and waits until all later publishes to the rooms, from any process, are certain to reach
// the sockets. It returns how many joined: those that would be in more rooms than Limits.Rooms did not. Node's servers obey
// and confirm nothing; their sockets are not counted. With an error, a MissingError among them, the sockets may join all
// the same.
func (e Emitter) ConfirmJoin(ctx context.Context, rooms ...string) (sockets int, err error) {
	return e.perform(ctx, adapter.Join{Namespace: e.nsp.name, Target: e.target, Rooms: rooms})
}

// ConfirmLeave is SocketsLeave, and waits as ConfirmJoin does until the nodes have obeyed.
func (e Emitter) ConfirmLeave(ctx context.Context, rooms ...string) (sockets int, err error) {
	return e.perform(ctx, adapter.Leave{Namespace: e.nsp.name, Target: e.target, Rooms: rooms})
}

// ConfirmDisconnect is DisconnectSockets, and waits as ConfirmJoin does until the nodes have obeyed.
func (e Emitter) ConfirmDisconnect(ctx context.Context, closeConnections bool) (sockets int, err error) {
	return e.perform(ctx, adapter.Disconnect{Namespace: e.nsp.name, Target: e.target, Close: closeConnections})
}

func (e Emitter) perform(ctx context.Context, c adapter.Command) (sockets int, err error) {
	if e.none {
		return 0, nil
	}
	ctx, cancel := e.nsp.io.withDeadline(ctx)
	defer cancel()
	return e.hub().Perform(ctx, c)
}

// Acks is what the recipients of an event have answered.
type Acks = hub.Acks

// CollectAcks is EmitWithAck with the arguments as they travel, event name first, and tells how many sockets were asked.
// It keeps answers of most bytes in all; further ones are dropped and counted. A MissingError names every node whose
// sockets have not all answered in time, this one included.
func (e Emitter) CollectAcks(ctx context.Context, args Args, most int) (Acks, error) {
	if err := checkEvent(args); err != nil || e.none {
		return Acks{}, err
	}
	ctx, cancel := e.nsp.io.withDeadline(ctx)
	defer cancel()
	acks, err := e.hub().CollectAcks(ctx, e.broadcast(args), most)
	if err != nil {
		err = fmt.Errorf("socketio: acknowledgements: %w", err)
	}
	return acks, err
}
