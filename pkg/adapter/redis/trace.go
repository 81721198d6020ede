package redis

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/cespare/xxhash/v2"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redissub"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
)

// traceID must be the same in every version of this package, because nodes of several share traces.
func traceID(channel string, payload []byte) trace.TraceID {
	var id trace.TraceID
	for half := range 2 {
		var d xxhash.Digest
		d.ResetWithSeed(uint64(half))
		// A Digest takes everything.
		_, _ = d.WriteString(channel)
		_, _ = d.Write(payload)
		binary.BigEndian.PutUint64(id[8*half:], d.Sum64())
	}
	return id
}

// span begins a span of a message that is sampled; else it returns nil. The zero time is now.
func (a *inbox) span(
	name string, kind trace.SpanKind, at time.Time, channel string, payload []byte, c adapter.Command,
) trace.Span {
	t := a.config.Tracing
	if t == nil {
		return nil
	}
	id := traceID(channel, payload)
	if t.Sampled != nil && !t.Sampled(id) {
		return nil
	}
	// With a trace id alone for a parent the span belongs to the trace and is one of its roots.
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: id})
	what, target := describe(c)
	_, span := t.Tracer.Start(
		trace.ContextWithSpanContext(context.Background(), parent), name,
		trace.WithLinks(causes(c)...),
		trace.WithSpanKind(kind), trace.WithTimestamp(at),
		trace.WithAttributes(
			attribute.String("messaging.system", "redis"),
			attribute.Int("messaging.message.body.size", len(payload)),
			attribute.String("carillon.node", a.config.NodeID),
			attribute.String("carillon.namespace", adapter.NamespaceOf(c)),
			attribute.String("carillon.kind", what),
			attribute.Int("carillon.rooms", len(target.Rooms)),
		),
	)
	return span
}

// causes is a link to what made this node send a command, where that is known: messages have no room for it, so their traces
// cannot go on from there.
func causes(c adapter.Command) []trace.Link {
	b, ok := c.(adapter.Broadcast)
	if !ok || b.TraceParent == "" {
		return nil
	}
	carrier := propagation.MapCarrier{"traceparent": b.TraceParent}
	cause := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
	if !cause.IsValid() {
		return nil
	}
	return []trace.Link{{SpanContext: cause}}
}

func describe(c adapter.Command) (kind string, target rooms.Target) {
	switch c := c.(type) {
	case adapter.Broadcast:
		return "broadcast", c.Target
	case adapter.Join:
		return "join", c.Target
	case adapter.Leave:
		return "leave", c.Target
	case adapter.Disconnect:
		return "disconnect", c.Target
	default:
		return "server_emit", rooms.Target{}
	}
}

// traced begins the span of a message to be published. What it returns takes the place of done, and ends the span.
func (a *inbox) traced(m redisqueue.Message, c adapter.Command, done func(error)) func(error) {
	span := a.span("publish", trace.SpanKindProducer, time.Time{}, m.Channel, m.Payload, c)
	if span == nil {
		return done
	}
	return func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
		if done != nil {
			done(err)
		}
	}
}

// deliver hands the node above a command that was read from the channel of an interest; own: this node published it, and
// has done what it says.
func (a *inbox) deliver(in redissub.Interest, p *redisconn.Push, c adapter.Command, own bool) {
	if own {
		if a.follows(in.Namespace) {
			a.follower.DeliverAt(c, adapter.Arrival{Lane: adapter.Lane(p.Lane), Own: true})
		}
		return
	}
	span := a.span("receive", trace.SpanKindConsumer, p.At, in.Channel, p.Payload, c)
	var sockets int
	if a.follows(in.Namespace) {
		sockets = a.follower.DeliverAt(c, adapter.Arrival{Lane: adapter.Lane(p.Lane)})
	} else {
		sockets = a.node.Deliver(c)
	}
	if span != nil {
		span.SetAttributes(attribute.Int("carillon.recipients", sockets))
		span.End()
	}
}
