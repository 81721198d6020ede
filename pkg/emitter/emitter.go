package emitter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Why an emitter refuses to publish. Nothing was sent.
var (
	// ErrReserved: the name has a meaning of its own to clients or servers and cannot be an event's.
	ErrReserved = errors.New("emitter: reserved event name")
	// ErrTargeted: a server-side emit goes to all servers; there are no rooms of servers.
	ErrTargeted = errors.New("emitter: server-side emit to rooms")
)

// Config says which cluster, and where in it.
type Config struct {
	// Key begins the names of all channels, as the key option of the servers. Default "socket.io".
	Key string
	// Namespace to begin with. Default "/".
	Namespace string
	// Sharded is the mode of a cluster of sharded adapters, as adapter.sharded.mode of the gateways and subscriptionMode of
	// Node's: "dynamic", "static" or "dynamic-private". The emitter then publishes as those do. Default: the classic form,
	// which gateways with sharded channels understand too, unless adapter.classic_emitters is off.
	Sharded string
}

// Emitter publishes to a set of sockets, at first to all of a namespace. It is safe for concurrent use. Only New makes
// one that works.
type Emitter struct {
	root       *root // shared by all emitters that come from one New
	nsp        string
	target     rooms.Target // its lists are never changed, only replaced
	nobody     bool         // To was called and named no room
	volatile   bool
	noCompress bool
}

// New returns an emitter to all sockets in the namespace. The client stays the caller's, who closes it. Make one emitter
// and derive the others from it: together they remember which rooms they have just made sockets join. A mode of sharded
// adapters that does not exist panics, a programming error.
func New(client goredis.UniversalClient, cfg Config) Emitter {
	if cfg.Key == "" {
		cfg.Key = "socket.io"
	}
	return Emitter{root: newRoot(client, cfg)}.Of(cfg.Namespace)
}

// Of is the emitter for another namespace; the slash in front may be left out.
func (e Emitter) Of(nsp string) Emitter {
	if !strings.HasPrefix(nsp, "/") {
		nsp = "/" + nsp
	}
	e.nsp = nsp
	return e
}

// To narrows the recipients to those in any of the rooms, or in a room named before. A socket's id is a room too. To
// without any room addresses no socket, so that an empty list never means everyone: nothing is published then.
func (e Emitter) To(rooms ...string) Emitter {
	e.target.Rooms = union(e.target.Rooms, rooms)
	e.nobody = len(e.target.Rooms) == 0
	return e
}

// In is To.
func (e Emitter) In(rooms ...string) Emitter { return e.To(rooms...) }

// Except takes those in any of the rooms out of the recipients.
func (e Emitter) Except(rooms ...string) Emitter {
	e.target.Except = union(e.target.Except, rooms)
	return e
}

// Volatile lets the event be lost for clients that cannot take it at once.
func (e Emitter) Volatile() Emitter {
	e.volatile = true
	return e
}

// Compress false says that the event is not worth compressing. True, the default, is not written.
func (e Emitter) Compress(compress bool) Emitter {
	e.noCompress = !compress
	return e
}

// Emit sends an event. The arguments are encoded as packet.Marshal tells: a []byte arrives as binary.
func (e Emitter) Emit(ctx context.Context, event string, args ...any) error {
	list, err := packet.Marshal(args...)
	if err != nil {
		return fmt.Errorf("emitter: emit %q: %w", event, err)
	}
	return e.EmitArgs(ctx, event, list)
}

// EmitArgs is Emit with arguments that are encoded already, the name not among them.
func (e Emitter) EmitArgs(ctx context.Context, event string, args packet.Args) error {
	if packet.ReservedEvent(event) {
		return fmt.Errorf("%w: %q", ErrReserved, event)
	}
	m, err := e.root.wire.command(e.broadcast(event, args))
	if err != nil {
		return fmt.Errorf("emitter: emit %q: %w", event, err)
	}
	if e.nobody {
		return nil
	}
	return e.publish(ctx, m)
}

func (e Emitter) broadcast(event string, args packet.Args) adapter.Broadcast {
	return adapter.Broadcast{
		Namespace: e.nsp, Args: packet.NewEvent(event, args), Target: e.target, Volatile: e.volatile,
		NoCompress: e.noCompress,
	}
}

// SocketsJoin makes the matching sockets join the rooms. What is emitted afterwards to a room reaches them.
func (e Emitter) SocketsJoin(ctx context.Context, rooms ...string) error {
	if !e.nobody {
		e.root.joined.Add(e.nsp, rooms...)
	}
	return e.command(ctx, adapter.Join{Namespace: e.nsp, Target: e.target, Rooms: rooms})
}

// SocketsLeave makes the matching sockets leave the rooms.
func (e Emitter) SocketsLeave(ctx context.Context, rooms ...string) error {
	return e.command(ctx, adapter.Leave{Namespace: e.nsp, Target: e.target, Rooms: rooms})
}

// DisconnectSockets disconnects the matching sockets from the namespace, with close from the server altogether.
func (e Emitter) DisconnectSockets(ctx context.Context, close bool) error {
	return e.command(ctx, adapter.Disconnect{Namespace: e.nsp, Target: e.target, Close: close})
}

// ServerSideEmit sends an event to the servers of the namespace instead of to clients. It travels as JSON: a []byte
// arrives as Node's {"type":"Buffer","data":[...]}.
func (e Emitter) ServerSideEmit(ctx context.Context, event string, args ...any) error {
	switch {
	case e.nobody || len(e.target.Rooms)+len(e.target.Except) > 0:
		return ErrTargeted
	case slices.Contains(reservedByServers, event):
		return fmt.Errorf("%w: %q", ErrReserved, event)
	}
	list, err := packet.Marshal(args...)
	if err != nil {
		return fmt.Errorf("emitter: server-side emit %q: %w", event, err)
	}
	return e.command(ctx, adapter.ServerEmit{Namespace: e.nsp, Args: packet.NewEvent(event, list)})
}

// reservedByServers are the events of a namespace itself.
var reservedByServers = []string{"connect", "connection", "new_namespace"}

// command publishes what the addressed sockets, or the servers, are to do.
func (e Emitter) command(ctx context.Context, c adapter.Command) error {
	m, err := e.root.wire.command(c)
	if err != nil {
		return fmt.Errorf("emitter: %w", err)
	}
	if e.nobody {
		return nil
	}
	return e.publish(ctx, m)
}

func (e Emitter) publish(ctx context.Context, m message) error {
	if err := e.root.wire.publish(ctx, e.nsp, m); err != nil {
		return fmt.Errorf("emitter: publish on %s: %w", m.channel, err)
	}
	return nil
}

// union is a new list of both, each name once, in the order first met.
func union(before, more []string) []string {
	both := slices.Clone(before)
	for _, name := range more {
		if !slices.Contains(both, name) {
			both = append(both, name)
		}
	}
	return both
}
