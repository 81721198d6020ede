package redis

import (
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/rediswire"
)

func encodeSharded(t testing.TB, uid string, size int, to ...string) string {
	t.Helper()
	m := rediswire.ClusterMessage{UID: uid, Command: chat(size, to...)}
	payload, err := rediswire.AppendCluster(nil, "/", &m)
	if err != nil {
		t.Fatal(err)
	}
	return string(payload)
}

// shardedReceiver is receiver with one shard.
func shardedReceiver(t testing.TB) (*shard, *counting) {
	t.Helper()
	a, n := unstarted(t, Config{NodeID: "this", Sharding: &Sharding{}})
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
	skips(t, sh.subscriber, n, encodeSharded)
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
