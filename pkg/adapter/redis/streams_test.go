package redis_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

func streamsOutage(t *testing.T, client func() goredis.UniversalClient) *outage {
	t.Helper()
	return newOutage(t, redis.Config{Streams: &redis.Streams{}}, client)
}

// whole sees to it that everything was taken, and came once and in order.
func (o *outage) whole() {
	o.t.Helper()
	o.outcomes.Wait()
	want := make([]string, o.sent)
	for i := range want {
		want[i] = numbered("stream", i)
	}
	eventually(o.t, "all that was sent came", func() bool { return len(o.heardOfStream()) >= len(want) })
	if heard := o.heardOfStream(); !slices.Equal(heard, want) {
		o.t.Errorf("%d came of %d, or in another order", len(heard), len(want))
	}
	if len(o.taken) != o.sent {
		o.t.Errorf("Redis took %d of %d", len(o.taken), o.sent)
	}
}

// heardOfStream leaves out what a test said besides.
func (o *outage) heardOfStream() []string {
	return slices.DeleteFunc(o.to.heard(), func(text string) bool { return text[:9] != numbered("stream", 0)[:9] })
}

// TestStreams_FrozenRedis: longer than a connection waits for an answer, so that what was on its way is in doubt.
func TestStreams_FrozenRedis(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	o := streamsOutage(t, func() goredis.UniversalClient { return s.client() })
	o.send()
	s.signal(syscall.SIGSTOP)
	o.send()
	frozen := time.After(6 * time.Second) // the pause is what is tested
	eventually(t, "noticed", func() bool { return !o.from.State().Connected })
	o.send()
	<-frozen
	s.signal(syscall.SIGCONT)
	talk(t, o.from, o.to, "red")
	o.whole()
}

// TestStreams_ConnectionsThatEndLoseAndRepeatNothing ends all connections again and again, in the middle of batches.
func TestStreams_ConnectionsThatEndLoseAndRepeatNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	o := streamsOutage(t, func() goredis.UniversalClient { return s.client() })
	random := rand.New(rand.NewPCG(1, 2))
	admin := s.client()
	for range 15 {
		for range 1 + random.IntN(20) {
			o.send()
		}
		if err := admin.Do(context.Background(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
			t.Fatal(err)
		}
	}
	o.whole()
	if o.to.metric("redis_resubscribes_total") == 0 {
		t.Error("no connection was lost")
	}
}

// TestStreams_SlotOnItsWay: between the move of the key and that of its slot the old master knows the stream no more and says so
// with ASK.
func TestStreams_SlotOnItsWay(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 2, false)
	o := streamsOutage(t, func() goredis.UniversalClient { return c.client() })
	o.send()
	const stream = "socket.io"
	owner := c.owner(stream)
	old, next := c.servers[owner], c.servers[1-owner]
	slot := redisconn.Slot(stream)
	talk(t, o.from, o.to, "red")
	c.beginMove(slot, old, next)
	host, port, _ := net.SplitHostPort(next.address)
	old.command("MIGRATE", host, port, stream, 0, 5000)
	o.send()
	eventually(t, "noticed", func() bool { return !o.from.State().Connected })
	o.send()
	c.move(slot, old, next)
	talk(t, o.from, o.to, "red")
	o.whole()
}

// TestStreams_KilledRedisThatKeepsItsFile: what it took is there when it comes back.
func TestStreams_KilledRedisThatKeepsItsFile(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	dir := t.TempDir()
	start := func() { s.start("--dir", dir, "--appendonly", "yes", "--appendfsync", "always") }
	start()
	o := streamsOutage(t, func() goredis.UniversalClient { return s.client() })
	for range 3 {
		for range 10 {
			o.send()
		}
		s.stop()
		o.send()
		start()
		talk(t, o.from, o.to, "red")
	}
	o.whole()
}

// TestStreams_AReaderThatFellBehindTrimmingSaysSo: what was trimmed before it was read is counted, and what follows arrives.
func TestStreams_AReaderThatFellBehindTrimmingSaysSo(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := newProxy(t, s.address)
	through := goredis.NewClient(&goredis.Options{Addr: p.address, DialTimeout: time.Second, ReadTimeout: 2 * time.Second})
	t.Cleanup(func() { _ = through.Close() })
	streams := func() redis.Config { return redis.Config{Streams: &redis.Streams{MaxLength: 100}} }
	from, to := readyNode(t, s, streams()), readyNodeWith(t, through, streams())
	from.hold("red")
	to.join("red")
	from.mustPublish(broadcast(numbered("before", 0), "red"))
	to.awaitHeard(numbered("before", 0))
	p.mute(true, true)
	for i := range 1000 { // Redis trims whole blocks of a hundred
		if err := from.publish(broadcast(numbered("meanwhile", i), "red")); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the reader has lost its connection", func() bool { return to.State().Deaf || !to.State().Connected })
	p.mute(true, false)
	eventually(t, "counted", func() bool { return to.metric("redis_stream_trimmed_total") > 0 })
	talk(t, from, to, "red")
}

// TestStreams_SeveralStreamsKeepNamespacesApart: each namespace has its stream, those included that Node's servers do not read.
func TestStreams_SeveralStreamsKeepNamespacesApart(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	cfg := redis.Config{Streams: &redis.Streams{Name: "events", Count: 2}}
	from, to := readyNode(t, s, cfg), readyNode(t, s, cfg)
	to.join("red")
	talk(t, from, to, "red")
	if n := s.command("XLEN", "events-1").Val(); fmt.Sprint(n) == "0" {
		t.Error("the stream of / is empty")
	}
	if all := s.command("XRANGE", "events-0", "-", "+").Val(); strings.Contains(fmt.Sprint(all), "nsp") {
		t.Error("something is in the other stream")
	}
}
