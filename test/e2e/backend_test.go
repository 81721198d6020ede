package e2e

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/backend"
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
	"github.com/carillon-io/carillon/test/program"
)

// TestBackend_OrderHoldsFromClientsToHandlers has clients of two gateways send events by number while consumers come and go,
// and kills a gateway at the end: every event is handled, those of a socket in order, and every socket is reported to go.
func TestBackend_OrderHoldsFromClientsToHandlers(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	config := program.WriteFile(t, "gateway.yaml", fmt.Sprintf(`
redis: {url: %q}
drain: {delay: 0s, window: 1s}
routes: {orders: {lifecycle: true, partitions: 3}}
namespaces: {"/": {rules: [{event: "*", do: [{forward: orders}], ack: backend}]}}
`, redis))
	var urls []string
	var gateways []*program.Program
	for _, name := range []string{"first", "second"} {
		address, ops := program.FreeAddress(t), program.FreeAddress(t)
		p := program.Start(t, name, []string{
			"GORACE=halt_on_error=1", "CARILLON_SERVER_ADDRESS=" + address, "CARILLON_OPS_ADDRESS=" + ops,
			"CARILLON_PEER_ADDRESS=" + program.FreeAddress(t),
		}, gatewayBinary, "serve", "--config", config)
		p.Await(func() bool { return program.Answers200("http://" + ops + "/readyz") })
		urls, gateways = append(urls, "http://"+address), append(gateways, p)
	}
	options, err := goredis.ParseURL(redis)
	if err != nil {
		t.Fatal(err)
	}
	client := goredis.NewClient(options)
	defer func() { _ = client.Close() }()

	b := &orderBook{t: t, last: make(map[string]int64), hashes: make(map[string][]string)}
	first := b.consume(client)
	defer first()
	const clients, events = 8, 60
	var group sync.WaitGroup
	for i := range clients {
		c := socketiotest.Dial(t, urls[i%2], socketiotest.Options{Patience: patience})
		defer c.Close()
		group.Go(func() {
			for n := range events {
				if answer := c.EmitWithAck("count", n); string(answer.JSON) != fmt.Sprintf(`[{"got":%d}]`, n) {
					t.Errorf("answer %s, want %d", answer.JSON, n)
				}
			}
			// The same event twice, as a client does that got no acknowledgement: two entries of equal hash.
			c.EmitWithAck("again", "id", c.ID())
			c.EmitWithAck("again", "id", c.ID())
		})
	}
	second := b.consume(client)
	defer second()
	first()
	third := b.consume(client)
	defer third()
	group.Wait()

	_ = gateways[0].Cmd.Process.Kill() // its sockets are reported by the other one
	b.await("the sockets of the killed gateway are reported", func() bool { return b.gone == clients/2 })
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.last) != clients {
		t.Errorf("%d sockets", len(b.last))
	}
	for sid, hashes := range b.hashes {
		if len(hashes) != 2 || hashes[0] != hashes[1] || hashes[0] == "" {
			t.Errorf("%s: hashes %q", sid, hashes)
		}
	}
}

// orderBook is a backend that checks the order of what it handles.
type orderBook struct {
	t *testing.T

	mu sync.Mutex
	// mu guards the following.
	last   map[string]int64    // seq by socket
	hashes map[string][]string // of events that were sent twice
	gone   int
}

// consume runs a consumer until stop is called; it may be called again.
func (b *orderBook) consume(client *goredis.Client) (stop func()) {
	mux := backend.NewMux()
	backend.Answer(mux, "count", func(_ context.Context, e *backend.Entry, n int) (map[string]int, error) {
		b.handle(e)
		return map[string]int{"got": n}, nil
	})
	backend.On(mux, "again", func(_ context.Context, e *backend.Entry, _ string) error {
		if b.handle(e) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.hashes[e.Socket] = append(b.hashes[e.Socket], e.Hash)
		}
		return nil
	})
	mux.Connected(func(_ context.Context, e *backend.Entry) error { b.handle(e); return nil })
	mux.Disconnected(func(_ context.Context, e *backend.Entry) error {
		if b.handle(e) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.gone++
		}
		return nil
	})
	consumer, err := backend.New(client, backend.Config{Route: "orders", Handler: mux, Lease: 2 * time.Second})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = consumer.Run(ctx) // it has no error to return
	}()
	return func() {
		cancel()
		<-done
	}
}

// handle reports whether an entry is seen for the first time.
func (b *orderBook) handle(e *backend.Entry) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.Seq > b.last[e.Socket]+1 {
		b.t.Errorf("%s: %d after %d", e.Socket, e.Seq, b.last[e.Socket])
	}
	isNew := e.Seq > b.last[e.Socket]
	b.last[e.Socket] = max(b.last[e.Socket], e.Seq)
	return isNew
}

func (b *orderBook) await(what string, is func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		b.mu.Lock()
		done := is()
		b.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("not in time: %s", what)
		}
	}
}
