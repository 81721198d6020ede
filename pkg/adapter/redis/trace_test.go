package redis_test

import (
	"slices"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/emitter"
	"github.com/carillon-io/carillon/pkg/rooms"
)

// traced gives a node a recorder of its spans.
func traced(cfg redis.Config, sampled func(trace.TraceID) bool) (redis.Config, *tracetest.SpanRecorder) {
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSpanProcessor(recorder), sdktrace.WithSampler(sdktrace.AlwaysSample()))
	cfg.Tracing = &redis.Tracing{Tracer: provider.Tracer("test"), Sampled: sampled}
	return cfg, recorder
}

// spans are the names of the spans that have ended.
func spans(recorder *tracetest.SpanRecorder) []string {
	var names []string
	for _, s := range recorder.Ended() {
		names = append(names, s.Name())
	}
	return names
}

// awaitSpans waits until exactly these spans have ended, and returns the last one.
func awaitSpans(t *testing.T, recorder *tracetest.SpanRecorder, want ...string) sdktrace.ReadOnlySpan {
	t.Helper()
	eventually(t, strings.Join(want, ", "), func() bool { return slices.Equal(spans(recorder), want) })
	ended := recorder.Ended()
	return ended[len(ended)-1]
}

// ended are the spans of a name that have ended. Where a node's own commands come back to it, they have both.
func ended(recorder *tracetest.SpanRecorder, name string) []sdktrace.ReadOnlySpan {
	return slices.DeleteFunc(recorder.Ended(), func(s sdktrace.ReadOnlySpan) bool { return s.Name() != name })
}

// awaitSpan waits until a span of that name has ended, whatever others have, and returns it.
func awaitSpan(t *testing.T, recorder *tracetest.SpanRecorder, name string) sdktrace.ReadOnlySpan {
	t.Helper()
	eventually(t, name, func() bool { return len(ended(recorder, name)) > 0 })
	return ended(recorder, name)[0]
}

// attributes are the project's own ones of a span.
func attributes(s sdktrace.ReadOnlySpan) map[string]attribute.Value {
	found := make(map[string]attribute.Value)
	for _, kv := range s.Attributes() {
		if name, ok := strings.CutPrefix(string(kv.Key), "carillon."); ok {
			found[name] = kv.Value
		}
	}
	return found
}

func TestTracing_BothSidesOfACommandShareATrace(t *testing.T) {
	t.Parallel()
	commands := map[string]adapter.Command{
		"broadcast":   broadcast(`["hi"]`, "red"),
		"join":        adapter.Join{Namespace: "/", Target: rooms.Target{Rooms: []string{"red"}}, Rooms: []string{"blue"}},
		"leave":       adapter.Leave{Namespace: "/", Target: rooms.Target{Rooms: []string{"red"}}, Rooms: []string{"blue"}},
		"disconnect":  adapter.Disconnect{Namespace: "/", Target: rooms.Target{Rooms: []string{"red"}}},
		"server_emit": adapter.ServerEmit{Namespace: "/", Args: broadcast(`["hi"]`).Args},
	}
	inEachDialect(t, func(t *testing.T, s *server, config func() redis.Config) {
		from, published := traced(config(), nil)
		to, received := traced(config(), nil)
		from.NodeID, to.NodeID = "from", "to"
		publisher, receiver := readyNode(t, s, from), readyNode(t, s, to)
		receiver.join("red")
		for kind, c := range commands {
			publisher.mustPublish(c)
			p, r := awaitSpan(t, published, "publish"), awaitSpan(t, received, "receive")
			if p.SpanContext().TraceID() != r.SpanContext().TraceID() {
				t.Errorf("%s: published in %s, received in %s", kind, p.SpanContext().TraceID(), r.SpanContext().TraceID())
			}
			if p.Parent().SpanID().IsValid() || r.Parent().SpanID().IsValid() {
				t.Errorf("%s: parents %s and %s, which nobody sends", kind, p.Parent().SpanID(), r.Parent().SpanID())
			}
			if p.SpanKind() != trace.SpanKindProducer || r.SpanKind() != trace.SpanKindConsumer {
				t.Errorf("%s: kinds %s and %s", kind, p.SpanKind(), r.SpanKind())
			}
			inRooms := int64(1)
			if kind == "server_emit" {
				inRooms = 0
			}
			for node, span := range map[string]sdktrace.ReadOnlySpan{"from": p, "to": r} {
				got := attributes(span)
				if got["node"].AsString() != node || got["kind"].AsString() != kind ||
					got["namespace"].AsString() != "/" || got["rooms"].AsInt64() != inRooms {
					t.Errorf("%s: attributes %v", kind, got)
				}
			}
			if got := attributes(r)["recipients"].AsInt64(); got != int64(len(receiver.delivered())) {
				t.Errorf("%s: %d recipients", kind, got)
			}
			published.Reset()
			received.Reset()
		}
	})
}

func TestTracing_AllNodesDecideAlikeByTheBytes(t *testing.T) {
	t.Parallel()
	inEachDialect(t, func(t *testing.T, s *server, config func() redis.Config) {
		odd := func(id trace.TraceID) bool { return id[15]%2 == 1 }
		from, published := traced(config(), odd)
		to, received := traced(config(), odd)
		publisher, receiver := readyNode(t, s, from), readyNode(t, s, to)
		receiver.join("red")
		const messages = 64
		var all []string
		for i := range messages {
			text := numbered("hi", i)
			all = append(all, text)
			publisher.mustPublish(broadcast(text, "red"))
		}
		receiver.awaitHeard(all...)
		ids := func(recorder *tracetest.SpanRecorder, name string) []trace.TraceID {
			var ids []trace.TraceID
			for _, s := range ended(recorder, name) {
				ids = append(ids, s.SpanContext().TraceID())
			}
			return ids
		}
		eventually(t, "same traces on both nodes", func() bool { return slices.Equal(ids(published, "publish"), ids(received, "receive")) })
		if n := len(ended(published, "publish")); n == 0 || n == messages {
			t.Errorf("%d of %d sampled", n, messages)
		}
	})
}

func TestTracing_WhatIsNotSampledHasNoSpan(t *testing.T) {
	t.Parallel()
	inEachDialect(t, func(t *testing.T, s *server, config func() redis.Config) {
		never := func(trace.TraceID) bool { return false }
		from, published := traced(config(), never)
		to, received := traced(config(), never)
		publisher, receiver := readyNode(t, s, from), readyNode(t, s, to)
		receiver.join("red")
		publisher.mustPublish(broadcast(`["hi"]`, "red"))
		receiver.awaitHeard(`["hi"]`)
		receiver.end()
		publisher.end()
		if started := len(published.Started()) + len(received.Started()); started > 0 {
			t.Errorf("%d spans", started)
		}
	})
}

func TestTracing_MessageOfAnEmitterIsReceivedOnly(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	first, one := traced(redis.Config{}, nil)
	second, two := traced(redis.Config{}, nil)
	for _, n := range []*node{readyNode(t, s, first), readyNode(t, s, second)} {
		n.join("red")
	}
	if err := emitter.New(s.client(), emitter.Config{}).To("red").Emit(t.Context(), "hi"); err != nil {
		t.Fatal(err)
	}
	a, b := awaitSpans(t, one, "receive"), awaitSpans(t, two, "receive")
	if a.SpanContext().TraceID() != b.SpanContext().TraceID() || a.SpanContext().SpanID() == b.SpanContext().SpanID() {
		t.Errorf("received in %v and %v", a.SpanContext(), b.SpanContext())
	}
}

func TestTracing_RoomThatThePatternCoversIsTracedByItsChannel(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	from, published := traced(redis.Config{}, nil)
	to, received := traced(redis.Config{Tag: "TAGa"}, nil)
	publisher, receiver := readyNode(t, s, from), readyNode(t, s, to)
	own := "TAGa0123456789abcdef"
	receiver.join(own)
	publisher.mustPublish(broadcast(`["hi"]`, own))
	p, r := awaitSpans(t, published, "publish"), awaitSpans(t, received, "receive")
	if p.SpanContext().TraceID() != r.SpanContext().TraceID() {
		t.Errorf("published in %s, received in %s", p.SpanContext().TraceID(), r.SpanContext().TraceID())
	}
}

func TestTracing_WhatIsNotPublishedEndsWithAnError(t *testing.T) {
	t.Parallel()
	client := goredis.NewClient(&goredis.Options{Addr: newServer(t).address})
	t.Cleanup(func() { _ = client.Close() })
	cfg, recorder := traced(redis.Config{}, nil)
	n := newNodeWith(t, client, cfg)
	n.Publish(broadcast(`["hi"]`), nil)
	n.end()
	span := awaitSpans(t, recorder, "publish")
	if got := span.Status(); got.Code != codes.Error || got.Description != adapter.ErrAway.Error() {
		t.Errorf("status %+v", got)
	}
}

func TestTracing_APublishRefersToWhatCausedIt(t *testing.T) {
	t.Parallel()
	inEachDialect(t, func(t *testing.T, s *server, config func() redis.Config) {
		cfg, published := traced(config(), nil)
		n := readyNode(t, s, cfg)
		const id = "4bf92f3577b34da6a3ce929d0e0e4736"
		for i, c := range []struct{ parent, cause string }{{"00-" + id + "-00f067aa0ba902b7-01", id}, {"", ""}, {"00-no", ""}} {
			b := broadcast(`["hi"]`, "red")
			b.TraceParent = c.parent
			n.Publish(b, nil)
			eventually(t, "the span has ended", func() bool { return len(ended(published, "publish")) == i+1 })
			cause := ""
			for _, link := range ended(published, "publish")[i].Links() {
				cause += link.SpanContext.TraceID().String()
			}
			if cause != c.cause {
				t.Errorf("%q: refers to %q", c.parent, cause)
			}
		}
	})
}
