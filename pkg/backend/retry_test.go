package backend_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/backend"
)

// What no gateway writes must not stop the socket, nor the partition.
func TestConsumer_MalformedEntriesBecomeDeadLetters(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startServer(t).NewClient(), 1)
	handled := make(chan string, 10)
	r.consume(backend.Config{Handler: backend.HandlerFunc(func(_ context.Context, e *backend.Entry) backend.Verdict {
		handled <- e.Event
		return backend.Done()
	})})
	bad := map[string][]string{
		"no fields of ours":    {"x", "y"},
		"version":              {"v", "2", "t", "event", "sid", "s", "seq", "1", "ts", "1", "ev", "e", "data", "[]"},
		"type":                 {"v", "1", "t", "joined", "sid", "s", "seq", "1", "ts", "1"},
		"no socket":            {"v", "1", "t", "event", "seq", "1", "ts", "1", "ev", "e", "data", "[]"},
		"seq":                  {"v", "1", "t", "event", "sid", "s", "seq", "0", "ts", "1", "ev", "e", "data", "[]"},
		"seq out of range":     {"v", "1", "t", "event", "sid", "s", "seq", "99999999999999999999", "ts", "1", "ev", "e", "data", "[]"},
		"time":                 {"v", "1", "t", "event", "sid", "s", "seq", "1", "ts", "now", "ev", "e", "data", "[]"},
		"no event":             {"v", "1", "t", "event", "sid", "s", "seq", "1", "ts", "1", "data", "[]"},
		"data":                 {"v", "1", "t", "event", "sid", "s", "seq", "1", "ts", "1", "ev", "e", "data", "[1,"},
		"data that is no list": {"v", "1", "t", "event", "sid", "s", "seq", "1", "ts", "1", "ev", "e", "data", "{}"},
		"deadline":             {"v", "1", "t", "event", "sid", "s", "seq", "1", "ts", "1", "ev", "e", "data", "[]", "ack", "a"},
		"auth":                 {"v", "1", "t", "connected", "sid", "s", "seq", "1", "ts", "1", "auth", "{"},
	}
	for _, fields := range bad {
		if err := r.client.XAdd(t.Context(), &goredis.XAddArgs{Stream: r.stream(0), Values: fields}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	r.event("s", "good", "[]")
	if got := receive(t, handled); got != "good" {
		t.Errorf("handled %q", got)
	}
	r.settled()
	eventually(t, "all are dead letters", func() bool { return len(r.dead()) == len(bad) })
	for _, m := range r.dead() {
		if m.Values["dead.group"] != "backend" || m.Values["dead.attempts"] != "1" || m.Values["dead.stream"] != r.stream(0) {
			t.Errorf("dead letter: %v", m.Values)
		}
	}
}

func TestConsumer_RetriesHoldBackOnlyTheirSocket(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startServer(t).NewClient(), 1)
	const others, entries = 5, 600
	var mu sync.Mutex
	var bad []string
	counts := make(map[string]int)
	release := make(chan struct{})
	h := backend.HandlerFunc(func(_ context.Context, e *backend.Entry) backend.Verdict {
		mu.Lock()
		defer mu.Unlock()
		if e.Socket != "bad" {
			counts[e.Socket]++
			return backend.Done()
		}
		select {
		case <-release:
		default:
			return backend.Retry(errors.New("not yet"))
		}
		bad = append(bad, string(e.Args.JSON))
		return backend.Done()
	})
	// The entries of the bad socket alone are more than fit in the window.
	registry := prometheus.NewPedanticRegistry()
	r.consume(backend.Config{Handler: h, Prefetch: 32, MaxAttempts: 1 << 30, Registerer: registry})
	for i := range entries {
		r.event("bad", "e", fmt.Sprintf("[%d]", i))
		r.event("s"+strconv.Itoa(i%others), "e", "[]")
	}
	eventually(t, "the other sockets went on", func() bool {
		mu.Lock()
		defer mu.Unlock()
		n := 0
		for _, c := range counts {
			n += c
		}
		return n == entries
	})
	close(release)
	r.settled()
	mu.Lock()
	defer mu.Unlock()
	for i, data := range bad {
		if data != fmt.Sprintf("[%d]", i) {
			t.Fatalf("entry %d is %s", i, data)
		}
	}
	if len(bad) != entries {
		t.Errorf("%d entries of the bad socket", len(bad))
	}
	eventually(t, "nothing is held", func() bool {
		return value(t, registry, "carillon_backend_entries_in_memory", "") == 0 && value(t, registry, "carillon_backend_entries_held", "") == 0
	})
	if n := value(t, registry, "carillon_backend_entries_total", "done"); n != 2*entries {
		t.Errorf("%v entries are counted", n)
	}
	if n := value(t, registry, "carillon_backend_entries_total", "retried"); n == 0 {
		t.Error("no retry is counted")
	}
}

// value is that of a metric, with that result if it has one.
func value(t *testing.T, registry *prometheus.Registry, name, result string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			of := ""
			for _, label := range m.GetLabel() {
				if label.GetName() == "result" {
					of = label.GetValue()
				}
			}
			if family.GetName() == name && of == result {
				return m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	t.Fatalf("no metric %s{result=%q}", name, result)
	return 0
}

func TestConsumer_LastAttemptMakesADeadLetter(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startServer(t).NewClient(), 1)
	var mu sync.Mutex
	var attempts []int
	after := make(chan struct{}, 1)
	r.consume(backend.Config{MaxAttempts: 3, Handler: backend.HandlerFunc(func(_ context.Context, e *backend.Entry) backend.Verdict {
		switch e.Event {
		case "panic":
			panic("oh")
		case "after":
			after <- struct{}{}
			return backend.Done()
		}
		mu.Lock()
		defer mu.Unlock()
		attempts = append(attempts, e.Attempt)
		return backend.RetryAfter(0, errors.New("still not"))
	})})
	r.event("s", "fail", `[7]`)
	r.event("s", "panic", `[8]`)
	r.event("s", "after", `[]`)
	receive(t, after)
	r.settled()
	eventually(t, "both are dead letters", func() bool { return len(r.dead()) == 2 })
	dead := r.dead()
	if v := dead[0].Values; v["dead.reason"] != "still not" || v["dead.attempts"] != "3" || v["data"] != "[7]" || v["seq"] != "1" {
		t.Errorf("%v", v)
	}
	if v := dead[1].Values; v["dead.reason"] != "internal error: panic: oh" || v["data"] != "[8]" {
		t.Errorf("%v", v)
	}
	mu.Lock()
	defer mu.Unlock()
	if !reflect.DeepEqual(attempts, []int{1, 2, 3}) {
		t.Errorf("attempts %v", attempts)
	}
}
