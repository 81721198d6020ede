package redis

import (
	"context"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redissub"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// dialect is how the nodes of a cluster speak to one another: on which channels, and in which bytes.
type dialect interface {
	// open is what is subscribed while a namespace is open; rooms is what is subscribed for rooms in addition, nothing for
	// a room that is received anyway.
	open(nsp string) []redissub.Interest
	rooms(nsp string, names []string) []redissub.Interest
	// certain is what, beside rooms, must be subscribed for a message to one of them to be received: messages for several
	// rooms are published to the whole namespace.
	certain(nsp string) []redissub.Interest
	// order is the slots through which commands for a namespace and its rooms go: the same on all nodes.
	order(nsp string, rooms []string) []uint16
	// listening is what must be subscribed for answers to be received.
	listening(nsp string) []redissub.Interest
	// pattern covers the own rooms of sockets whose ids begin with tag; ok is false where there are no patterns.
	pattern(tag string) (in redissub.Interest, ok bool)
	// slot is that of a channel; 0 where slots do not matter.
	slot(channel string) uint16

	// command is what has the other nodes carry c out.
	command(c adapter.Command) (redisqueue.Message, error)
	// query is what puts q to the other nodes.
	query(id string, q adapter.Query) (redisqueue.Message, error)
	// requests is what every node that has nsp subscribes to exactly once, answers the channel that only one does.
	requests(nsp string) redissub.Interest
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
