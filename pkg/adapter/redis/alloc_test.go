package redis

import (
	"testing"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redisserver"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// TestReceive_DeliveringAllocatesWhatTheNodeIsGiven: the command as an interface, the list of rooms and its names, but
// for that of the channel's own room; on classic channels the arguments too, which come as MessagePack.
func TestReceive_DeliveringAllocatesWhatTheNodeIsGiven(t *testing.T) {
	classic, node := receiver(t, Config{NodeID: "this"})
	shard, nodeOfShard := receiver(t, Config{NodeID: "this", Sharding: &Sharding{}})
	const (
		red  = "socket.io#/#red#"
		base = "socket.io#/#"
	)
	for name, c := range map[string]struct {
		channel          string
		rooms            []string
		classic, sharded float64
	}{
		"namespace": {base, nil, 2, 1},
		"room":      {red, []string{"red"}, 3, 2},
		"two rooms": {base, []string{"red", "blue"}, 5, 5},
	} {
		for _, size := range []int{60, 4000} {
			delivers(t, name+", classic", classic.server(), node,
				push(c.channel, encode(t, "other", size, c.rooms...)), c.classic)
			delivers(t, name+", sharded", shard.server(), nodeOfShard,
				push(c.channel, encodeSharded(t, "other", size, c.rooms...)), c.sharded)
		}
	}
}

// delivers sees that each message received reaches the node at the price of so many allocations.
func delivers(t *testing.T, name string, s *redisserver.Server, n *counting, m *redisconn.Push, want float64) {
	t.Helper()
	const runs = 100
	n.delivered = 0
	if got := testing.AllocsPerRun(runs, func() { s.Dispatch(m) }); got > want {
		t.Errorf("%s: %v allocations instead of at most %v", name, got, want)
	}
	if n.delivered != runs+1 { // one to warm up
		t.Errorf("%s: %d delivered", name, n.delivered)
	}
}

// queued is a placement whose messages go into a queue of the test's own.
type queued struct {
	redisserver.Placement
	*redisqueue.Queue
}

func (q queued) Push(m redisqueue.Message) { q.Queue.Push(m).Finish() }

// TestPublish_AllocatesChannelAndPayload: their names and bytes for each message, and on sharded channels the options
// and the arguments as MessagePack, which finds out whether they are sound. Taking a batch of a hundred costs the list of
// them, and the place that the queue has moved away from.
func TestPublish_AllocatesChannelAndPayload(t *testing.T) {
	const batch = 100
	for name, c := range map[string]struct {
		config Config
		size   int
		want   float64 // for each message
	}{
		"classic":       {Config{}, 60, 2},
		"classic, 4 kB": {Config{}, 4000, 2},
		"sharded":       {Config{Sharding: &Sharding{}}, 60, 4},
		"sharded, 4 kB": {Config{Sharding: &Sharding{}}, 4000, 4},
	} {
		for _, rooms := range [][]string{nil, {"red"}, {"red", "blue"}} {
			a, _ := receiver(t, c.config)
			q := redisqueue.New(redisqueue.Limits(a.config.Queue), a.metrics.ofServers().Queue)
			a.dialect.Placement = queued{a.dialect.Placement, q}
			var messages []redisqueue.Message
			var command adapter.Command = chat(c.size, rooms...)
			done := func(error) {}
			taken := 0
			got := testing.AllocsPerRun(20, func() {
				for range batch {
					a.Publish(command, done)
				}
				messages = q.Take(messages[:0], batch, 1<<20)
				taken = len(messages)
				q.Settle(nil)
			})
			if most := batch * c.want; got > most {
				t.Errorf("%s, rooms %q: %v allocations instead of at most %v", name, rooms, got, most)
			}
			if taken != batch {
				t.Errorf("%s, rooms %q: %d taken", name, rooms, taken)
			}
			q.Close()
		}
	}
}
