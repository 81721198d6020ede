package socketio

import (
	"slices"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Emitter addresses a set of sockets on all nodes. It is a value; each operator returns a new one. It comes from a
// Namespace, where it addresses everyone, or from a Socket, where it leaves that one out.
type Emitter struct {
	nsp       *Namespace
	target    rooms.Target
	nobody    bool // To was called, and named no room
	volatile  bool
	local     bool
	plain     bool // Compress(false)
	published func(error)
}

// To addresses the members of rooms, in addition to those of an earlier To; a socket in several of them counts once. To
// without any room addresses nobody, so that an empty list never means everyone.
func (e Emitter) To(rooms ...string) Emitter {
	e.target.Rooms = append(slices.Clip(e.target.Rooms), rooms...)
	e.nobody = len(e.target.Rooms) == 0
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

// Emit sends the event to every addressed socket, local ones first and without waiting for the cluster.
func (e Emitter) Emit(event string, args ...any) error {
	list, err := encodeEvent(event, args)
	if err != nil {
		return err
	}
	e.emit(list)
	return nil
}

// EmitArgs is Emit with the arguments as they travel, event name first.
func (e Emitter) EmitArgs(args packet.Args) error {
	if err := checkEvent(args); err != nil {
		return err
	}
	e.emit(args)
	return nil
}

// SocketsJoin makes the addressed sockets join rooms.
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

func (e Emitter) emit(args packet.Args) {
	e.nsp.io.metrics.local.Inc()
	e.apply(e.broadcast(args))
}

func (e Emitter) broadcast(args packet.Args) adapter.Broadcast {
	return adapter.Broadcast{
		Namespace: e.nsp.name, Args: args, Target: e.target, Volatile: e.volatile, NoCompress: e.plain,
	}
}

// apply does here what the command says, then hands it to the other nodes.
func (e Emitter) apply(c adapter.Command) {
	if !e.nobody {
		e.nsp.apply(c)
		if !e.local {
			e.nsp.io.adapter.Publish(c, e.published)
			return
		}
	}
	if e.published != nil {
		e.published(nil)
	}
}
