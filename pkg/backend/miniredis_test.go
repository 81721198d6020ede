package backend_test

import (
	"context"
	"testing"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/backend"
)

// The Redis inside gateway dev is miniredis.
func TestConsumer_WorksBesideGatewayDev(t *testing.T) {
	t.Parallel()
	client := goredis.NewClient(&goredis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = client.Close() })
	r := newRoute(t, client, 2)
	answers := r.answers()
	handled := make(chan *backend.Entry, 100)
	mux := backend.NewMux()
	backend.On(mux, "*", func(_ context.Context, e *backend.Entry, _ any) error {
		handled <- e
		return nil
	})
	c := r.consume(backend.Config{Handler: mux})
	r.event("a", "first", "[1]", "ack", "t1", "dl", "1700000000000")
	receive(t, handled)
	r.event("b", "second", "[2]", "ack", "t2", "dl", "1700000000000")
	receive(t, handled)
	eventually(t, "both are answered", func() bool { return len(answers()) == 2 })
	c.end()
	r.consume(backend.Config{Handler: mux})
	r.event("a", "third", "[3]")
	if e := receive(t, handled); e.Event != "third" {
		t.Errorf("handled %s", e.Event)
	}
}
