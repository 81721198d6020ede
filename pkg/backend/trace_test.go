package backend_test

import (
	"context"
	"errors"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/carillon-io/carillon/pkg/backend"
)

// The gateway writes the traceparent of its span into the entry.
func TestConsumer_SpansContinueTheTraceOfTheGateway(t *testing.T) {
	t.Parallel()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	r := newRoute(t, startServer(t).NewClient(), 1)
	seen := make(chan trace.SpanContext, 10)
	r.consume(backend.Config{Tracer: provider.Tracer("test"), Handler: backend.HandlerFunc(
		func(ctx context.Context, e *backend.Entry) backend.Verdict {
			seen <- trace.SpanContextFromContext(ctx)
			if e.Event == "bad" {
				return backend.Dead(errors.New("no"))
			}
			return backend.Done()
		})})
	r.event("s", "good", "[]", "tp", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	r.event("s", "bad", "[]", "tp", "no traceparent")
	if id := receive(t, seen).TraceID().String(); id != "0af7651916cd43dd8448eb211c80319c" {
		t.Errorf("trace %s", id)
	}
	if !receive(t, seen).IsValid() {
		t.Error("no span without a parent")
	}
	r.settled()
	spans := recorder.Ended()
	if len(spans) != 2 || spans[0].Parent().SpanID().String() != "b7ad6b7169203331" || spans[1].Status().Description != "no" {
		t.Errorf("spans: %v", spans)
	}
}
