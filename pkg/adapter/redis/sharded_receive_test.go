package redis

import (
	"fmt"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

func encodeSharded(t testing.TB, uid string, size int, to ...string) string {
	t.Helper()
	data := fmt.Sprintf(`["message",{"id":12345,"from":"ada","text":%q}]`, strings.Repeat("x", size))
	payload, err := rediswire.AppendCluster(nil, "/", &rediswire.ClusterMessage{UID: uid, Command: adapter.Broadcast{
		Namespace: "/", Args: packet.Args{JSON: []byte(data)}, Target: rooms.Target{Rooms: to},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return string(payload)
}

// shardedReceiver is receiver with one shard.
func shardedReceiver(t testing.TB) (*shard, *counting) {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:0"})
	t.Cleanup(func() { _ = client.Close() })
	a, err := New(client, Config{NodeID: "this", Sharding: &Sharding{}})
	if err != nil {
		t.Fatal(err)
	}
	n := &counting{holds: func(string) bool { return true }}
	a.node = n
	a.Open("/")
	a.Touch("/", "red")
	sh := newShard(a.shards, "127.0.0.1:0", 0, nil)
	next := new(routes)
	for slot := range next {
		next[slot] = sh
	}
	a.shards.routes.Store(next)
	a.shards.rehome()
	sh.subscriber.evaluate(n)
	return sh, n
}

func TestReceiveSharded_SkippingAllocatesNothing(t *testing.T) {
	sh, n := shardedReceiver(t)
	red := "socket.io#/#red#"
	cases := map[string]struct {
		message *goredis.Message
		holds   bool
	}{
		"room nobody is in": {&goredis.Message{Channel: red, Payload: encodeSharded(t, "other", 100, "red")}, false},
		"unknown channel":   {&goredis.Message{Channel: "socket.io#/#blue#"}, true},
		"sent by this node": {&goredis.Message{Channel: red, Payload: encodeSharded(t, "this", 100, "red")}, true},
	}
	for name, c := range cases {
		n.holds = func(string) bool { return c.holds }
		if allocs := testing.AllocsPerRun(100, func() { sh.subscriber.dispatch(c.message) }); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
	if n.delivered != 0 {
		t.Errorf("%d delivered", n.delivered)
	}
	n.holds = func(string) bool { return true }
	sh.subscriber.dispatch(&goredis.Message{Channel: red, Payload: encodeSharded(t, "other", 100, "red")})
	if n.delivered != 1 {
		t.Errorf("%d delivered instead of 1", n.delivered)
	}
}

func BenchmarkReceiveSharded(b *testing.B) {
	sh, _ := shardedReceiver(b)
	m := &goredis.Message{Channel: "socket.io#/#red#", Payload: encodeSharded(b, "other", 60, "red")}
	b.ReportAllocs()
	b.SetBytes(int64(len(m.Payload)))
	for b.Loop() {
		sh.subscriber.dispatch(m)
	}
}
