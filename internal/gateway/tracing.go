package gateway

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

// traceGrace is how long the last spans may take to leave, within the time that leaving has as a whole.
const traceGrace = 2 * time.Second

// Tracing is where the spans of a node go, and which messages have some. All of it must be given.
type Tracing struct {
	Exporter sdktrace.SpanExporter // shut down by Run
	// Sampler must decide by the trace id alone, as [sdktrace.TraceIDRatioBased] does, so that all nodes decide alike.
	Sampler sdktrace.Sampler
	// Resource describes this process.
	Resource *resource.Resource
}

// tracing makes spans and sends them off. Nil does neither.
type tracing struct {
	sampler  sdktrace.Sampler
	exporter *exporter
	provider *sdktrace.TracerProvider
	// batches has the spans from start on, and hands them to exporter on a goroutine of its own.
	batches sdktrace.SpanProcessor
}

// newTracing starts nothing: there are spans from start on.
func newTracing(o *Tracing, log *zap.Logger) *tracing {
	if o == nil {
		return nil
	}
	return &tracing{
		sampler:  o.Sampler,
		exporter: &exporter{SpanExporter: o.Exporter, log: log},
		provider: sdktrace.NewTracerProvider(sdktrace.WithSampler(o.Sampler), sdktrace.WithResource(o.Resource)),
	}
}

// redis is what the adapter needs of it.
func (t *tracing) redis() *redis.Tracing {
	if t == nil {
		return nil
	}
	return &redis.Tracing{
		Tracer: t.provider.Tracer("github.com/carillon-io/carillon/pkg/adapter/redis"),
		Sampled: func(id trace.TraceID) bool {
			p := sdktrace.SamplingParameters{ParentContext: context.Background(), TraceID: id}
			return t.sampler.ShouldSample(p).Decision == sdktrace.RecordAndSample
		},
	}
}

// upstream makes the spans of events that go to backends; nil where there are none.
func (t *tracing) upstream() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer("github.com/carillon-io/carillon/internal/upstream")
}

// traceparent is a span as a backend continues it, as the W3C's header writes it; empty for one that is not sampled.
func traceparent(s trace.SpanContext) string {
	if !s.IsSampled() {
		return ""
	}
	return "00-" + s.TraceID().String() + "-" + s.SpanID().String() + "-" + s.TraceFlags().String()
}

func (t *tracing) start() {
	if t != nil {
		t.batches = sdktrace.NewBatchSpanProcessor(t.exporter)
		t.provider.RegisterSpanProcessor(t.batches)
	}
}

// stop sends off what is left until deadline, for traceGrace at most. That some spans are lost is no failure of this node.
func (t *tracing) stop(deadline time.Time) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), min(traceGrace, time.Until(deadline)))
	defer cancel()
	if err := t.batches.Shutdown(ctx); err != nil {
		t.exporter.log.Warn("the last traces were lost", zap.Error(err))
		// An export that is still under way ends with this.
		_ = t.exporter.Shutdown(ctx) // the time is over: it has nothing else to tell
	}
}

// exporter logs when spans cannot be sent off, and when they can again. The spans themselves are given up.
type exporter struct {
	sdktrace.SpanExporter

	log     *zap.Logger
	failing bool // owned by ExportSpans, which is called once at a time
}

// ExportSpans implements [sdktrace.SpanExporter].
func (e *exporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && !e.failing:
		e.log.Warn("traces cannot be exported", zap.Error(err))
	case err == nil && e.failing:
		e.log.Info("traces are exported again")
	}
	e.failing = err != nil
	return nil // told already; the library would print it for every batch
}
