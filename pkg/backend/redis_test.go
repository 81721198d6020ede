package backend_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/backend"
	"github.com/carillon-io/carillon/test/await"
	"github.com/carillon-io/carillon/test/redistest"
)

// startServer starts a redis-server of the test's own that keeps what it stores over restarts.
func startServer(t *testing.T) *redistest.Server {
	t.Helper()
	return redistest.Start(t, redistest.Durable...)
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	await.True(t, what, is)
}

// route writes entries as gateways do.
type route struct {
	t          *testing.T
	client     goredis.UniversalClient
	name       string
	partitions int

	mu  sync.Mutex
	seq map[string]int
}

func newRoute(t *testing.T, client goredis.UniversalClient, partitions int) *route {
	t.Helper()
	r := &route{t: t, client: client, name: "orders", partitions: partitions, seq: make(map[string]int)}
	if err := client.HSet(t.Context(), "carillon:routes", r.name, partitions).Err(); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *route) partition(sid string) int {
	h := 0
	for _, c := range []byte(sid) {
		h = (h*31 + int(c)) % 1_000_003
	}
	return h % r.partitions
}

func (r *route) stream(p int) string { return fmt.Sprintf("carillon:up:{%s.%d}", r.name, p) }

// add appends an entry of a socket, with the next number unless the fields have one, and returns its id.
func (r *route) add(sid string, fields ...string) string {
	r.t.Helper()
	r.mu.Lock()
	r.seq[sid]++
	seq := r.seq[sid]
	r.mu.Unlock()
	values := []string{"v", "1", "nsp", "/", "sid", sid, "seq", strconv.Itoa(seq), "node", "n1", "ts", "1700000000000"}
	id, err := r.client.XAdd(context.Background(), &goredis.XAddArgs{
		Stream: r.stream(r.partition(sid)), Values: append(values, fields...),
	}).Result()
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// event appends an event with the arguments in JSON.
func (r *route) event(sid, name, data string, more ...string) string {
	r.t.Helper()
	return r.add(sid, append([]string{"t", "event", "ev", name, "data", data}, more...)...)
}

// consumer is one that runs until it is stopped or the test ends.
type consumer struct {
	t    *testing.T
	stop context.CancelFunc
	done chan struct{}
}

// consume runs a consumer of the route with short times.
func (r *route) consume(cfg backend.Config) *consumer {
	r.t.Helper()
	cfg.Route = r.name
	if cfg.Lease == 0 {
		cfg.Lease = time.Second
	}
	if cfg.Backoff == nil {
		cfg.Backoff = func(int) time.Duration { return 10 * time.Millisecond }
	}
	c, err := backend.New(r.client, cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	running := &consumer{t: r.t, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(running.done)
		if err := c.Run(ctx); err != nil {
			r.t.Error(err)
		}
	}()
	r.t.Cleanup(running.end)
	return running
}

func (c *consumer) end() {
	c.stop()
	<-c.done
}

// settled waits until everything that was appended is acknowledged.
func (r *route) settled() {
	r.t.Helper()
	eventually(r.t, "everything is acknowledged", func() bool {
		for p := range r.partitions {
			groups, err := r.client.XInfoGroups(context.Background(), r.stream(p)).Result()
			if err != nil || len(groups) == 0 {
				if n, _ := r.client.XLen(context.Background(), r.stream(p)).Result(); n == 0 && err != nil {
					continue
				}
				return false
			}
			for _, g := range groups {
				if g.Name == "backend" && (g.Pending > 0 || g.Lag > 0) {
					return false
				}
			}
		}
		return true
	})
}

// dead returns the dead letters.
func (r *route) dead() []goredis.XMessage {
	r.t.Helper()
	list, err := r.client.XRange(context.Background(), "carillon:dead:{"+r.name+"}", "-", "+").Result()
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// answers makes the inbox of the gateway that entries come from, and returns a function that reads what is in it.
func (r *route) answers() func() []goredis.XMessage {
	r.t.Helper()
	const key = "carillon:in:{n1}"
	id, err := r.client.XAdd(r.t.Context(), &goredis.XAddArgs{Stream: key, Values: []string{"t", "open"}}).Result()
	if err != nil {
		r.t.Fatal(err)
	}
	return func() []goredis.XMessage {
		list, err := r.client.XRange(context.Background(), key, "("+id, "+").Result()
		if err != nil {
			r.t.Fatal(err)
		}
		return list
	}
}
