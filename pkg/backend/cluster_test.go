package backend_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/backend"
	"github.com/carillon-io/carillon/test/redistest"
)

// The partitions, the dead letters and the inbox of the gateway are on different masters.
func TestConsumer_WorksOnARedisCluster(t *testing.T) {
	t.Parallel()
	r := newRoute(t, redistest.StartCluster(t, 3, 0).Client(goredis.ClusterOptions{}), 8)
	answers := r.answers()
	var mu sync.Mutex
	last := make(map[string]int64)
	cfg := backend.Config{MaxAttempts: 2, Handler: backend.HandlerFunc(func(_ context.Context, e *backend.Entry) backend.Verdict {
		mu.Lock()
		defer mu.Unlock()
		if e.Seq > last[e.Socket]+1 {
			t.Errorf("%s: %d after %d", e.Socket, e.Seq, last[e.Socket])
		}
		last[e.Socket] = max(last[e.Socket], e.Seq)
		if e.Event == "fail" {
			return backend.Retry(fmt.Errorf("always"))
		}
		return backend.Done().Refuse("code", "text")
	})}
	first := r.consume(cfg)
	const sockets, entries = 24, 240
	for i := range entries {
		if i == entries/2 {
			r.consume(cfg)
			first.end()
		}
		r.event("s"+strconv.Itoa(i%sockets), "e", "[]", "ack", strconv.Itoa(i), "dl", "1700000000000")
	}
	r.event("s0", "fail", "[]")
	r.settled()
	eventually(t, "all are answered", func() bool { return len(answers()) == entries })
	eventually(t, "one is a dead letter", func() bool { return len(r.dead()) == 1 })
}
