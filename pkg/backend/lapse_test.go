package backend_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/backend"
)

// lateRenewals is a hook that holds back the renewals of leases while it is shut. Everything else reaches Redis.
type lateRenewals struct {
	mu   sync.Mutex
	open chan struct{} // nil, or closed when renewals may go on
}

func (l *lateRenewals) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (l *lateRenewals) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

func (l *lateRenewals) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		args := cmd.Args() // EVALSHA, script, number of keys, lease, holder, expiry
		if len(args) == 6 && strings.Contains(fmt.Sprint(args[3]), ":lease:") {
			l.mu.Lock()
			open := l.open
			l.mu.Unlock()
			if open != nil {
				<-open
			}
		}
		return next(ctx, cmd)
	}
}

func (l *lateRenewals) shut() (reopen func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	open := make(chan struct{})
	l.open = open
	return sync.OnceFunc(func() { close(open) })
}

// While the lease is not certain, entries are read and not handled. The renewal lets each socket's queue go on once, however
// many of its entries came meanwhile.
func TestConsumer_ASocketsEntriesStayInOrderWhenTheLeaseIsRenewedLate(t *testing.T) {
	t.Parallel()
	const sockets, entries = 5, 8 // of a socket, eight entries are in memory
	client := startServer(t).NewClient()
	renewals := &lateRenewals{}
	client.AddHook(renewals)
	r := newRoute(t, client, 1)
	reopened := make(chan func(), 1)
	lapsed := make(chan struct{})
	var mu sync.Mutex
	last, handling := make(map[string]int64), make(map[string]bool)
	registry := prometheus.NewRegistry()
	r.consume(backend.Config{Lease: 300 * time.Millisecond, Registerer: registry, Handler: backend.HandlerFunc(
		func(ctx context.Context, e *backend.Entry) backend.Verdict {
			if e.Socket == "first" {
				reopened <- renewals.shut()
				<-ctx.Done() // the lease has lapsed
				close(lapsed)
				return backend.Done()
			}
			mu.Lock()
			if handling[e.Socket] || e.Seq != last[e.Socket]+1 {
				t.Errorf("%s: %d after %d, another is being handled: %t", e.Socket, e.Seq, last[e.Socket], handling[e.Socket])
			}
			last[e.Socket], handling[e.Socket] = e.Seq, true
			mu.Unlock()
			time.Sleep(time.Millisecond) // the time that a second goroutine would need to be seen
			mu.Lock()
			handling[e.Socket] = false
			mu.Unlock()
			return backend.Done()
		})})
	r.event("first", "e", "[]")
	reopen := <-reopened
	defer reopen()
	<-lapsed
	inMemory := func(n int) {
		t.Helper()
		eventually(t, fmt.Sprint(n, " entries are in memory"), func() bool { return gauge(t, registry, "entries_in_memory") == float64(n) })
	}
	inMemory(0)
	for n := range sockets * entries {
		r.event(fmt.Sprint("s", n%sockets), "e", "[]")
		inMemory(n + 1)
	}
	reopen()
	r.settled()
	mu.Lock()
	defer mu.Unlock()
	for s := range sockets {
		if name := fmt.Sprint("s", s); last[name] != entries {
			t.Errorf("%s: %d of %d entries are handled", name, last[name], entries)
		}
	}
}

// gauge is the sum of the gauge whose name ends so.
func gauge(t *testing.T, registry *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if strings.HasSuffix(f.GetName(), name) {
			for _, m := range f.GetMetric() {
				sum += m.GetGauge().GetValue()
			}
		}
	}
	return sum
}
