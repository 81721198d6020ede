package backend_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/backend"
)

// startRedisCluster starts a Redis Cluster of three masters.
func startRedisCluster(t *testing.T) *goredis.ClusterClient {
	t.Helper()
	const masters, slots = 3, 16384
	var servers []*server
	var addresses []string
	for i := range masters {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_, bus, _ := net.SplitHostPort(l.Addr().String())
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		s := reserveServer(t)
		s.start("--cluster-enabled", "yes", "--cluster-port", bus)
		client := s.client()
		host, port, _ := net.SplitHostPort(s.address)
		for _, command := range [][]any{
			{"CLUSTER", "ADDSLOTSRANGE", i * slots / masters, (i+1)*slots/masters - 1},
			{"CLUSTER", "SET-CONFIG-EPOCH", i + 1},
		} {
			if err := client.Do(t.Context(), command...).Err(); err != nil {
				t.Fatal(err)
			}
		}
		for _, other := range servers {
			if err := other.client().Do(t.Context(), "CLUSTER", "MEET", host, port, bus).Err(); err != nil {
				t.Fatal(err)
			}
		}
		servers, addresses = append(servers, s), append(addresses, s.address)
	}
	for _, s := range servers {
		client := s.client()
		eventually(t, "the cluster is up", func() bool {
			info, _ := client.ClusterInfo(t.Context()).Result()
			return contains(info, "cluster_state:ok") && contains(info, "cluster_known_nodes:3")
		})
	}
	client := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: addresses})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// The partitions, the dead letters and the inbox of the gateway are on different masters.
func TestConsumer_WorksOnARedisCluster(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startRedisCluster(t), 8)
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
