package backend_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/backend"
	"github.com/carillon-io/carillon/test/redistest"
)

// BenchmarkConsumer handles entries that lie there, from Redis on the same machine: of many sockets, with an answer to each,
// and all of one socket.
func BenchmarkConsumer(b *testing.B) {
	for name, c := range map[string]struct {
		sockets int
		ack     string
	}{
		"sockets=1000":         {1000, ""},
		"sockets=1000,answers": {1000, "token"},
		"sockets=1":            {1, ""},
	} {
		b.Run(name, func(b *testing.B) {
			socket := b.TempDir() + "/redis"
			redistest.Start(b, "--unixsocket", socket)
			client := goredis.NewClient(&goredis.Options{Network: "unix", Addr: socket, MaxRetries: 50})
			defer func() { _ = client.Close() }()
			ctx := b.Context()
			client.HSet(ctx, "carillon:routes", "orders", 1)
			client.XAdd(ctx, &goredis.XAddArgs{Stream: "carillon:in:{n}", Values: []string{"t", "open"}})
			for n := 0; n < b.N; {
				pipe := client.Pipeline()
				for range min(1000, b.N-n) {
					fields := []string{
						"v", "1", "t", "event", "nsp", "/", "sid", fmt.Sprint("socket-", n%c.sockets), "seq", fmt.Sprint(n/c.sockets + 1), "node", "n",
						"ts", "1700000000000", "ev", "order:new", "data", `[{"item":"bell","quantity":1}]`, "dl", "1700000010000",
					}
					if c.ack != "" {
						fields = append(fields, "ack", c.ack)
					}
					pipe.XAdd(ctx, &goredis.XAddArgs{Stream: "carillon:up:{orders.0}", Values: fields})
					n++
				}
				if _, err := pipe.Exec(ctx); err != nil {
					b.Fatal(err)
				}
			}
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan struct{})
			mux := backend.NewMux()
			backend.On(mux, "order:new", func(_ context.Context, _ *backend.Entry, _ struct{ Quantity int }) error {
				if left.Add(-1) == 0 {
					close(done)
				}
				return nil
			})
			consumer, err := backend.New(client, backend.Config{Route: "orders", Handler: mux})
			if err != nil {
				b.Fatal(err)
			}
			running, stop := context.WithCancel(ctx)
			ended := make(chan struct{})
			b.ReportAllocs()
			b.ResetTimer()
			begun := time.Now()
			go func() {
				defer close(ended)
				_ = consumer.Run(running)
			}()
			<-done
			b.StopTimer()
			b.ReportMetric(float64(b.N)/time.Since(begun).Seconds(), "entries/s")
			stop()
			<-ended
		})
	}
}
