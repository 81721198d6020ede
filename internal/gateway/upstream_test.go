package gateway_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/carillon-io/carillon/internal/gateway"
)

// forwarding is a configuration whose clients forward to a route in every way there is.
const forwarding = `
redis: {url: "redis://%s"}
drain: {delay: 0s, window: 0s}
routes: {orders: {lifecycle: true, deadline: %s}}
namespaces:
  "/":
    rules:
      - {event: plain, do: [{forward: orders}]}
      - {event: accepted, do: [{forward: orders}], ack: accepted}
      - {event: backend, do: [{forward: orders}], ack: backend}
      - {event: own, do: [{forward: orders}], ack: ["${args[0]}"]}
      - {event: "*", do: [{forward: orders}], ack: accepted}
`

// backend answers the events of the route that want it, as a backend without a library does.
func backend(t *testing.T, redis *goredis.Client, stop <-chan struct{}, answer func(fields map[string]any) []any) {
	last := "0"
	for {
		select {
		case <-stop:
			return
		default:
		}
		streams, err := redis.XRead(t.Context(), &goredis.XReadArgs{Streams: []string{"carillon:up:{orders.0}", last}, Block: 20 * time.Millisecond}).Result()
		if err != nil {
			continue
		}
		for _, e := range streams[0].Messages {
			last = e.ID
			token, asked := e.Values["ack"]
			if !asked {
				continue
			}
			err := redis.XAdd(t.Context(), &goredis.XAddArgs{
				Stream: fmt.Sprintf("carillon:in:{%s}", e.Values["node"]), NoMkStream: true, MaxLen: 10000, Approx: true,
				Values: append([]any{"t", "ack", "a", token}, answer(e.Values)...),
			}).Err()
			if err != nil {
				t.Error(err)
			}
		}
	}
}

func TestForward_IsAcknowledgedAsTheRuleSays(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	redis := goredis.NewClient(&goredis.Options{Addr: server.Addr(), Protocol: 2})
	defer redis.Close()
	i := run(t, fmt.Sprintf(forwarding, server.Addr(), "30s"))
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		backend(t, redis, stop, func(fields map[string]any) []any {
			return []any{"data", `[null,{"got":` + fields["data"].(string) + `,"bytes":{"_placeholder":true,"num":0}}]`, "b0", "\x00\xff"}
		})
	}()
	c := connect(t, i.clients, nil)
	c.asks(`[{"ok":true}]`, "plain", 1)
	c.asks(`[{"ok":true,"id":"`, "accepted", 2)
	c.asks(`["mine"]`, "own", "mine")
	got := c.EmitWithAck("backend", 1.5, "x")
	if want := `[null,{"got":[1.5,"x"],"bytes":{"_placeholder":true,"num":0}}]`; string(got.JSON) != want || len(got.Attachments) != 1 || string(got.Attachments[0]) != "\x00\xff" {
		t.Errorf("the backend's answer arrives as %s with %q", got.JSON, got.Attachments)
	}
	close(stop)
	<-ended
	i.metric(t, `carillon_upstream_events_total{result="stored",route="orders"} 4`)
	i.metric(t, `carillon_upstream_answers_total{result="delivered"} 1`)
}

func TestForward_ASampledEventCarriesItsSpanToTheBackend(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	redis := goredis.NewClient(&goredis.Options{Addr: server.Addr(), Protocol: 2})
	defer redis.Close()
	spans := newCollector()
	i := runWith(t, gateway.Options{
		Config:        load(t, fmt.Sprintf(forwarding, server.Addr(), "30s")),
		EmbeddedRedis: true,
		Tracing:       &gateway.Tracing{Exporter: spans, Sampler: sdktrace.AlwaysSample(), Resource: resource.Empty()},
	})
	connect(t, i.clients, nil).asks(`[{"ok":true,"id":"`, "accepted", 1)
	entries, err := redis.XRange(t.Context(), "carillon:up:{orders.0}", "-", "+").Result()
	if err != nil || len(entries) < 2 {
		t.Fatalf("entries %v, %v", entries, err)
	}
	if tp := fmt.Sprint(entries[1].Values["tp"]); !regexp.MustCompile("^00-[0-9a-f]{32}-[0-9a-f]{16}-01$").MatchString(tp) {
		t.Errorf("tp is %q", tp)
	}
	i.stop()
	if err := <-i.ended; err != nil {
		t.Error(err)
	}
	i.ended <- nil
	if !strings.Contains(spans.spans(), "forward") {
		t.Errorf("spans %q", spans.spans())
	}
}

func TestForward_WhateverAClientSendsArrivesAsItIs(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	redis := goredis.NewClient(&goredis.Options{Addr: server.Addr(), Protocol: 2})
	defer redis.Close()
	i := run(t, fmt.Sprintf(forwarding, server.Addr(), "30s"))
	c := connect(t, i.clients, nil)
	names := []string{"a\x00b", "line\nline", "🛎", "__proto__", "{orders.0}"}
	for _, name := range names {
		c.asks(`[{"ok":true,"id":"`, name, name)
	}
	large := strings.Repeat("x", 999_000)
	c.asks(`[{"ok":true,"id":"`, "large", large)
	ten := make([]any, 10)
	for n := range ten {
		ten[n] = []byte{byte(n)}
	}
	c.asks(`[{"ok":true,"id":"`, "ten", ten...)
	entries, err := redis.XRange(t.Context(), "carillon:up:{orders.0}", "-", "+").Result()
	if err != nil || len(entries) != len(names)+3 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	for n, name := range names {
		if entries[n+1].Values["ev"] != name {
			t.Errorf("%q is stored as %q", name, entries[n+1].Values["ev"])
		}
	}
	if got := entries[len(names)+1].Values["data"]; got != `["`+large+`"]` {
		t.Errorf("the large event is stored with %d bytes", len(fmt.Sprint(got)))
	}
	if got := entries[len(names)+2].Values; got["b9"] != "\x09" || !strings.HasPrefix(fmt.Sprint(got["data"]), `[{"_placeholder":true,"num":0}`) {
		t.Errorf("ten attachments are stored as %v", got)
	}
}

func TestForward_ABackendThatIsSilentIsATimeout(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	i := run(t, fmt.Sprintf(forwarding, server.Addr(), "300ms"))
	c := connect(t, i.clients, nil)
	c.asks(`[{"ok":false,"error":{"code":"timeout",`, "backend")
}

func TestForward_WithoutRedisEventsAreUnavailableAtTheDeadline(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	i := run(t, fmt.Sprintf(forwarding, server.Addr(), "2s")) // time enough to store one on a busy machine
	c := connect(t, i.clients, nil)
	c.asks(`[{"ok":true}]`, "plain", 1)
	server.Close()
	for _, event := range []string{"plain", "accepted", "backend", "own"} {
		c.asks(`[{"ok":false,"error":{"code":"unavailable",`, event, 1)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	i.poll(t, "/metrics", func(int, string) bool {
		return strings.HasPrefix(string(c.EmitWithAck("accepted", 1).JSON), `[{"ok":true`)
	})
}
