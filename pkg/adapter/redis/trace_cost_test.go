package redis

import (
	"encoding/hex"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// unsampled traces, but no message.
func unsampled() *Tracing {
	return &Tracing{Tracer: noop.NewTracerProvider().Tracer(""), Sampled: func(trace.TraceID) bool { return false }}
}

func TestTraceID_IsTheSameInEveryVersion(t *testing.T) {
	id := traceID("socket.io#/#red#", []byte("payload"))
	if got := hex.EncodeToString(id[:]); got != "f162b1f08dd3f05262cc28c3a7dba127" {
		t.Errorf("got %s", got)
	}
	if traceID("socket.io#/#blue#", []byte("payload")) == id || traceID("socket.io#/#red#", []byte("other")) == id {
		t.Error("another channel, or another message, has the same id")
	}
}

func TestTracing_WhatIsNotSampledAllocatesNothing(t *testing.T) {
	var c adapter.Command = chat(60, "red")
	message := push("socket.io#/#red#", encode(t, "other", 60, "red"))
	done := func(error) {}
	publish := func(a *Adapter) float64 {
		m, err := a.dialect.command(c)
		if err != nil {
			t.Fatal(err)
		}
		return testing.AllocsPerRun(100, func() { m.Done = a.traced(m, c, done) })
	}
	receive := func(a *Adapter) float64 {
		return testing.AllocsPerRun(100, func() { a.server().Dispatch(message) })
	}
	off, _ := receiver(t, Config{})
	on, _ := receiver(t, Config{Tracing: unsampled()})
	if without, with := publish(off), publish(on); without != 0 || with != 0 {
		t.Errorf("publish: %v allocations without tracing, %v with it", without, with)
	}
	if without, with := receive(off), receive(on); with != without {
		t.Errorf("receive: %v allocations without tracing, %v with it", without, with)
	}
}

func BenchmarkReceiveUnsampled(b *testing.B) {
	a, _ := receiver(b, Config{Tracing: unsampled()})
	m := push("socket.io#/#red#", encode(b, "other", 60, "red"))
	b.ReportAllocs()
	b.SetBytes(int64(len(m.Payload)))
	for b.Loop() {
		a.server().Dispatch(m)
	}
}
