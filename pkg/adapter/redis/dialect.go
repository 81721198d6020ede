package redis

import (
	"context"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// dialect is how the nodes of a cluster speak to one another: on which channels, and in which bytes.
type dialect interface {
	// open is what is subscribed while a namespace is open; rooms is what is subscribed for rooms in addition, nothing for
	// a room that is received anyway.
	open(nsp string) []interest
	rooms(nsp string, names []string) []interest
	// certain is what, beside rooms, must be subscribed for a message to one of them to be received: messages for several
	// rooms are published to the whole namespace.
	certain(nsp string) []interest
	// listening is what must be subscribed for answers to be received.
	listening(nsp string) []interest
	// slot is that of a channel; 0 where slots do not matter.
	slot(channel string) uint16

	// command is what has the other nodes carry c out.
	command(c adapter.Command) (message, error)
	// query is what puts q to the other nodes.
	query(id string, q adapter.Query) (message, error)
	// requests is what every node that has nsp subscribes to exactly once, answers the channel that only one does.
	requests(nsp string) interest
	answers(nsp, node string) string
	// count is how many connections have subscribed to each channel at one server.
	count(ctx context.Context, client *goredis.Client, channels []string) (map[string]int64, error)
}

// envelope is more than a broadcast has around its arguments, attachments and names, in either dialect.
const envelope = 160

// roomFor is an empty payload that takes b without growing, unless the ids of nodes are long.
func roomFor(b *adapter.Broadcast) []byte {
	size := envelope + len(b.Args.JSON)
	for _, names := range [][]string{b.Target.Rooms, b.Target.Except} {
		for _, name := range names {
			size += len(name) + len(`"",`)
		}
	}
	for _, attachment := range b.Args.Attachments {
		size += len(attachment)
	}
	return make([]byte, 0, size)
}

// justJoined reports whether a broadcast is for a room that a command of this node has just made sockets join: other nodes
// may not have subscribed to its channel yet, and receive it on that of the namespace.
func (a *inbox) justJoined(b *adapter.Broadcast) bool {
	return len(b.Target.Rooms) == 1 && a.joined.Has(b.Namespace, b.Target.Rooms[0])
}
