package backend_test

import (
	"context"
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/backend"
)

// A process has decided about entries and ended before it answered: the next one carries that out, and a dead letter that is
// there already is not written again.
func TestConsumer_WhatWasDecidedIsCarriedOutByTheNextProcess(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startServer(t).NewClient(), 1)
	answers := r.answers()
	decide := func(fields ...string) string {
		id, err := r.client.XAdd(t.Context(), &goredis.XAddArgs{Stream: "carillon:outbox:{orders.0}:backend", Values: fields}).Result()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	written := decide("dead.group", "backend", "dead.reason", "written before", "ev", "one")
	decide("node", "n1", "t", "ack", "a", "token", "data", "[1]", "b0", "\x00")
	decide("dead.group", "backend", "dead.reason", "not yet", "ev", "two")
	if err := r.client.HSet(t.Context(), "carillon:dead:{orders}:last", "backend.0", written).Err(); err != nil {
		t.Fatal(err)
	}
	r.consume(backend.Config{Handler: backend.HandlerFunc(func(context.Context, *backend.Entry) backend.Verdict { return backend.Done() })})
	eventually(t, "the outbox is empty", func() bool { return r.client.XLen(t.Context(), "carillon:outbox:{orders.0}:backend").Val() == 0 })
	if list := answers(); len(list) != 1 || list[0].Values["a"] != "token" || list[0].Values["data"] != "[1]" || list[0].Values["b0"] != "\x00" {
		t.Errorf("answers: %v", list)
	}
	if dead := r.dead(); len(dead) != 1 || dead[0].Values["dead.reason"] != "not yet" || dead[0].Values["ev"] != "two" {
		t.Errorf("dead letters: %v", dead)
	}
}

// An inbox that is no stream, say, must not stop the answers to other gateways.
func TestConsumer_AnswerThatRedisRefusesIsDropped(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startServer(t).NewClient(), 1)
	answers := r.answers()
	if err := r.client.Set(t.Context(), "carillon:in:{other}", "text", 0).Err(); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	r.consume(backend.Config{Registerer: registry, Handler: backend.HandlerFunc(func(context.Context, *backend.Entry) backend.Verdict {
		return backend.Done().Refuse("code", "text")
	})})
	if err := r.client.XAdd(t.Context(), &goredis.XAddArgs{Stream: r.stream(0), Values: []string{
		"v", "1", "t", "event", "nsp", "/", "sid", "s1", "seq", "1", "node", "other", "ts", "1700000000000", "ev", "e", "data", "[]",
		"ack", "t1", "dl", "1700000000000",
	}}).Err(); err != nil {
		t.Fatal(err)
	}
	r.event("s", "e", "[]", "ack", "t2", "dl", "1700000000000")
	eventually(t, "the other answer is there", func() bool { return len(answers()) > 0 })
	eventually(t, "the refused one is counted", func() bool {
		return value(t, registry, "carillon_backend_answers_refused_total", "") == 1
	})
}

// Of a handler that answers with what cannot be encoded nothing is left but a dead letter and a refusal.
func TestMux_AnswerThatCannotBeEncodedIsBuried(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startServer(t).NewClient(), 1)
	answers := r.answers()
	mux := backend.NewMux()
	backend.Answer(mux, "e", func(context.Context, *backend.Entry, any) (func(), error) { return func() {}, nil })
	backend.On(mux, "wrapped", func(context.Context, *backend.Entry, any) error {
		return errors.Join(errors.New("around"), backend.Refuse("inner", "text"))
	})
	r.consume(backend.Config{Handler: mux})
	r.event("s", "e", "[]", "ack", "t1", "dl", "1700000000000")
	r.event("s", "wrapped", "[]", "ack", "t2", "dl", "1700000000000")
	r.settled()
	eventually(t, "both are answered", func() bool { return len(answers()) == 2 })
	if got := answers()[1].Values["data"]; got != `[{"ok":false,"error":{"code":"inner","message":"text"}}]` {
		t.Errorf("answer %v", got)
	}
	eventually(t, "one is a dead letter", func() bool { return len(r.dead()) == 1 })
}
