package backend_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/backend"
)

func Example() {
	type order struct {
		Item     string `json:"item"`
		Quantity int    `json:"quantity"`
	}
	type receipt struct {
		ID string `json:"id"`
	}
	mux := backend.NewMux()
	backend.Answer(mux, "order:new", func(_ context.Context, e *backend.Entry, o order) (receipt, error) {
		if o.Quantity < 1 {
			return receipt{}, backend.Refuse("invalid", "how many?") // what the client gets, instead of a receipt
		}
		return receipt{ID: e.Key()}, nil // the same when the entry is delivered again
	})
	mux.Disconnected(func(_ context.Context, e *backend.Entry) error {
		fmt.Println(e.Socket, "has gone:", e.Reason)
		return nil
	})

	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:6379"})
	defer func() { _ = client.Close() }()
	consumer, err := backend.New(client, backend.Config{Route: "orders", Handler: mux})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := consumer.Run(ctx); err != nil {
		fmt.Println(err)
	}
}

// A handler that is asked for every entry, whatever it is, and decides itself what becomes of it.
func ExampleHandler() {
	post := func(context.Context, *backend.Entry) (status int, err error) { return 503, nil }
	forward := backend.HandlerFunc(func(ctx context.Context, e *backend.Entry) backend.Verdict {
		switch status, err := post(ctx, e); {
		case err != nil:
			return backend.Retry(err)
		case status >= 500:
			return backend.Retry(fmt.Errorf("status %d", status))
		case status >= 400:
			return backend.Dead(fmt.Errorf("status %d", status)).Refuse("denied", "not accepted")
		default:
			return backend.Done()
		}
	})
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:6379"})
	defer func() { _ = client.Close() }()
	_, err := backend.New(client, backend.Config{Route: "orders", Group: "webhook", Handler: forward})
	fmt.Println(err)
	// Output: <nil>
}
