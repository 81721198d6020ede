// The backend of this example with pkg/backend: leases, order, retries, answers and dead letters are its business. Start it
// twice: partitions are divided, or one stands by.
package main

import (
	"cmp"
	"context"
	"errors"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/backend"
	"github.com/carillon-io/carillon/pkg/emitter"
)

// Order is what a page sends.
type Order struct {
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
}

func main() {
	options, err := goredis.ParseURL(cmp.Or(os.Getenv("REDIS"), "redis://localhost:6379"))
	if err != nil {
		log.Fatal(err)
	}
	redis := goredis.NewClient(options)
	clients := emitter.New(redis, emitter.Config{})
	online := func(ctx context.Context) error {
		return clients.Emit(ctx, "online", redis.SCard(ctx, "shop:online").Val())
	}
	mux := backend.NewMux()
	mux.Connected(func(ctx context.Context, e *backend.Entry) error {
		return errors.Join(redis.SAdd(ctx, "shop:online", e.Socket).Err(), online(ctx))
	})
	mux.Disconnected(func(ctx context.Context, e *backend.Entry) error {
		return errors.Join(redis.SRem(ctx, "shop:online", e.Socket).Err(), online(ctx))
	})
	backend.Answer(mux, "order:new", func(ctx context.Context, e *backend.Entry, o Order) (map[string]any, error) {
		if o.Quantity <= 0 {
			return nil, backend.Refuse("invalid", "how many?")
		}
		if err := redis.HSet(ctx, "shop:orders", e.Key(), o.Item).Err(); err != nil { // once, also when it is delivered again
			return nil, backend.TryAgain(err)
		}
		err := clients.Emit(ctx, "sold", o.Item, redis.HLen(ctx, "shop:orders").Val())
		return map[string]any{"ok": true, "id": e.Key()}, err
	})
	consumer, err := backend.New(redis, backend.Config{Route: "orders", Handler: mux, Lease: 5 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	_ = consumer.Run(ctx) // until the process is asked to end; it has no other error
}
