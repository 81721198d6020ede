package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/carillon-io/carillon/internal/gateway"
	"github.com/carillon-io/carillon/pkg/emitter"
	"github.com/carillon-io/carillon/test/program"
)

// collector is an exporter that keeps the names of the spans it is given.
type collector struct {
	export func(ctx context.Context) error // nil: succeeds
	down   chan struct{}                   // closed by Shutdown

	mu    sync.Mutex
	names []string
}

func newCollector() *collector { return &collector{down: make(chan struct{})} }

func (c *collector) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if c.export != nil {
		if err := c.export(ctx); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range spans {
		c.names = append(c.names, s.Name())
	}
	return nil
}

func (c *collector) Shutdown(context.Context) error {
	select {
	case <-c.down:
	default:
		close(c.down)
	}
	return nil
}

func (c *collector) spans() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.names, " ")
}

// cluster is a traced node with a Redis, to which a process without sockets publishes.
type cluster struct {
	*instance
	t       *testing.T
	emitter emitter.Emitter
	log     *program.Output
}

// logs counts a text in the log of the node.
func (c *cluster) logs(text string) int { return strings.Count(c.log.String(), text) }

func runTraced(t *testing.T, c *collector, sampler sdktrace.Sampler) *cluster {
	t.Helper()
	server := miniredis.RunT(t)
	client := goredis.NewClient(&goredis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = client.Close() })
	log := new(program.Output)
	i := runWith(t, gateway.Options{
		Config:        load(t, quick+"redis: {url: 'redis://"+server.Addr()+"'}\n"),
		EmbeddedRedis: true,
		Log:           log,
		Tracing:       &gateway.Tracing{Exporter: c, Sampler: sampler, Resource: resource.Empty()},
	})
	i.eventually(t, http.StatusOK, `"ready":true`)
	return &cluster{i, t, emitter.New(client, emitter.Config{}), log}
}

// publish returns when the node has the message; total counts it.
func (c *cluster) publish(total string) {
	c.t.Helper()
	if err := c.emitter.Emit(c.t.Context(), "note"); err != nil {
		c.t.Fatal(err)
	}
	c.metric(c.t, `carillon_redis_messages_total{direction="in"} `+total)
}

// leave returns when the node has left.
func (c *cluster) leave() {
	c.t.Helper()
	c.stop()
	if err := <-c.ended; err != nil {
		c.t.Errorf("Run: %v", err)
	}
	c.ended <- nil
}

func TestTracing_WhatIsSampledHasLeftWhenTheNodeHas(t *testing.T) {
	t.Parallel()
	for want, sampler := range map[string]sdktrace.Sampler{
		"receive receive": sdktrace.AlwaysSample(), "": sdktrace.TraceIDRatioBased(0),
	} {
		spans := newCollector()
		c := runTraced(t, spans, sampler)
		c.publish("1")
		c.publish("2")
		c.leave()
		if got := spans.spans(); got != want {
			t.Errorf("spans %q instead of %q", got, want)
		}
		select {
		case <-spans.down:
		default:
			t.Error("the exporter was not shut down")
		}
	}
}

func TestTracing_CollectorThatHangsDoesNotKeepTheNode(t *testing.T) {
	t.Parallel()
	spans := newCollector()
	asked := make(chan struct{}, 1)
	spans.export = func(context.Context) error {
		asked <- struct{}{}
		<-spans.down
		return errors.New("given up")
	}
	c := runTraced(t, spans, sdktrace.AlwaysSample())
	c.publish("1")
	c.leave()
	<-asked
	if c.logs("the last traces were lost") != 1 {
		t.Error("not logged")
	}
}

func TestTracing_FailuresOfTheCollectorAreLoggedOnce(t *testing.T) {
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
	spans := newCollector()
	exports := 0
	spans.export = func(context.Context) error {
		if exports++; exports < 4 {
			return errors.New("unreachable")
		}
		return nil
	}
	c := runTraced(t, spans, sdktrace.AlwaysSample())
	for _, total := range []string{"1", "2", "3", "4", "5"} {
		c.publish(total)
	}
	c.leave()
	if got := spans.spans(); got != "receive receive" {
		t.Errorf("spans %q", got)
	}
	if down, up := c.logs("traces cannot be exported"), c.logs("traces are exported again"); down != 1 || up != 1 {
		t.Errorf("logged %d failures, %d recoveries", down, up)
	}
}
