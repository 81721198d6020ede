package redis_test

import (
	"net"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

// TestConforms_StreamsOnACluster: each stream is at the master of its name's slot.
func TestConforms_StreamsOnACluster(t *testing.T) {
	t.Parallel()
	client := onCluster(t)
	conforms(t, "one stream", client, redis.Config{Streams: &redis.Streams{}})
	conforms(t, "five streams", client, redis.Config{Streams: &redis.Streams{Count: 5, ClassicEmitters: true}})
}

// TestStreams_SlotThatMovesAgainAndAgain, from master to master, while entries are appended without a pause: readers wait for new
// ones at the old master, and are answered with ASK and MOVED.
func TestStreams_SlotThatMovesAgainAndAgain(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, false)
	o := streamsOutage(t, func() goredis.UniversalClient { return c.client() })
	const stream = "socket.io"
	slot := redisconn.Slot(stream)
	at := c.owner(stream)
	for round := range 6 {
		from, to := c.servers[at], c.servers[(at+1)%3]
		o.send()
		c.beginMove(slot, from, to)
		o.send()
		if round%2 == 0 { // else the key goes at the last moment
			o.send()
			talkOn(o)
		}
		host, port, _ := net.SplitHostPort(to.address)
		if moved := from.command("MIGRATE", host, port, stream, 0, 5000).Val(); moved != "OK" {
			t.Fatalf("round %d: MIGRATE: %v", round, moved)
		}
		o.send()
		if round%3 == 0 {
			eventually(t, "commands wait", func() bool { return !o.from.State().Connected })
		}
		c.move(slot, from, to)
		at = (at + 1) % 3
		o.send()
		talkOn(o)
	}
	o.whole()
	if n := o.to.metric("redis_stream_trimmed_total") + o.from.metric("redis_stream_trimmed_total"); n != 0 {
		t.Errorf("%v holes", n)
	}
}

// talkOn waits until something that is sent now has come.
func talkOn(o *outage) {
	o.t.Helper()
	o.send()
	last := numbered("stream", o.sent-1)
	eventually(o.t, "the last came", func() bool {
		heard := o.to.heard()
		return len(heard) > 0 && heard[len(heard)-1] == last
	})
}

// TestStreams_ClusterFailoverBringsDeliveryBack: the master of the stream dies, and its replica takes over.
func TestStreams_ClusterFailoverBringsDeliveryBack(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, true)
	cfg := redis.Config{Streams: &redis.Streams{}}
	n, other := readyNodeWith(t, c.client(), cfg), readyNodeWith(t, c.client(), cfg)
	n.join("red")
	talk(t, other, n, "red")
	c.failOver(c.owner("socket.io"), n, other)
}
