package backend_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/backend"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/carillon-io/carillon/test/await"
)

func TestConsumer_EntriesArriveWithAllTheirFields(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startServer(t).NewClient(), 1)
	entries := make(chan *backend.Entry, 10)
	r.consume(backend.Config{Handler: backend.HandlerFunc(func(_ context.Context, e *backend.Entry) backend.Verdict {
		entries <- e
		return backend.Done()
	})})
	r.add("s1", "t", "connected", "ip", "10.0.0.1", "auth", `{"a":1}`, "user", "ada", "claims", `{"sub":"ada"}`)
	id := r.event("s1", "photo", `["x",{"_placeholder":true,"num":0}]`, "b0", "\x00\xff\n", "ack", "tok", "dl", "1700000001000",
		"h", "abc", "later", "field")
	r.add("s1", "t", "disconnected", "reason", "node lost")

	e := receive(t, entries)
	if e.Kind != backend.KindConnected || e.IP != "10.0.0.1" || string(e.Auth) != `{"a":1}` || e.User != "ada" ||
		string(e.Claims) != `{"sub":"ada"}` || e.Seq != 1 || e.Route != "orders" || e.Node != "n1" {
		t.Errorf("connected: %+v", e)
	}
	e = receive(t, entries)
	want := packet.Args{JSON: []byte(`["x",{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{0, 0xff, '\n'}}}
	later, _ := e.Field("later")
	if e.Kind != backend.KindEvent || e.Event != "photo" || !reflect.DeepEqual(e.Args, want) || e.Ack != "tok" ||
		e.Deadline.UnixMilli() != 1700000001000 || e.Time.UnixMilli() != 1700000000000 || e.Hash != "abc" || e.ID != id ||
		e.Key() != "s1/orders/2" || e.Attempt != 1 || e.Fence != 1 || later != "field" {
		t.Errorf("event: %+v", e)
	}
	e = receive(t, entries)
	if e.Kind != backend.KindDisconnected || e.Reason != "node lost" || e.Seq != 3 {
		t.Errorf("disconnected: %+v", e)
	}
	r.settled()
}

func receive[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	return await.Value(t, "value", c)
}

func TestConsumer_AnswersReachTheInboxOfTheGateway(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startServer(t).NewClient(), 1)
	answers := r.answers()
	type order struct{ Item string }
	mux := backend.NewMux()
	backend.Answer(mux, "new", func(_ context.Context, _ *backend.Entry, o order) (map[string]any, error) {
		return map[string]any{"item": o.Item, "raw": []byte("\x01")}, nil
	})
	backend.Answer(mux, "list", func(context.Context, *backend.Entry, any) (packet.Args, error) {
		return packet.Args{JSON: []byte(`[1,2]`)}, nil
	})
	backend.On(mux, "plain", func(context.Context, *backend.Entry, order) error { return nil })
	backend.On(mux, "fail*", func(context.Context, *backend.Entry, any) error { return errors.New(`no "stock"`) })
	backend.On(mux, "fail:coded", func(context.Context, *backend.Entry, any) error { return backend.Refuse("sold_out", "none left") })
	backend.On(mux, "later", func(context.Context, *backend.Entry, any) error { return backend.ErrLater })
	backend.On(mux, "bury", func(context.Context, *backend.Entry, any) error { return backend.Bury(errors.New("never")) })
	r.consume(backend.Config{Handler: mux})

	const ack = "ack"
	dl := []string{"dl", "1700000001000"}
	r.event("s1", "new", `[{"Item":"bell"}]`, append(dl, ack, "t1")...)
	r.event("s1", "list", `[]`, append(dl, ack, "t2")...)
	r.event("s1", "plain", `[{}]`, append(dl, ack, "t3")...)
	r.event("s1", "fail:x", `[1]`, append(dl, ack, "t4")...)
	r.event("s1", "fail:coded", `[1]`, append(dl, ack, "t5")...)
	r.event("s1", "later", `[1]`, append(dl, ack, "t6")...)
	r.event("s1", "unknown", `[1]`, append(dl, ack, "t7")...)
	r.event("s1", "plain", `["no object"]`, append(dl, ack, "t8")...)
	r.event("s1", "bury", `[1]`, append(dl, ack, "t9")...)
	r.event("s1", "plain", `[{}]`) // no acknowledgement wanted
	r.settled()

	want := [][2]string{
		{"t1", `[{"item":"bell","raw":{"_placeholder":true,"num":0}}]`},
		{"t2", `[1,2]`},
		{"t3", `[{"ok":true}]`},
		{"t4", `[{"ok":false,"error":{"code":"failed","message":"no \"stock\""}}]`},
		{"t5", `[{"ok":false,"error":{"code":"sold_out","message":"none left"}}]`},
		{"t7", `[{"ok":false,"error":{"code":"denied","message":"no handler for this event"}}]`},
		{"t8", `[{"ok":false,"error":{"code":"invalid","message":"the arguments do not fit"}}]`},
		{"t9", `[{"ok":false,"error":{"code":"failed","message":"never"}}]`},
	}
	eventually(t, "all answers are there", func() bool { return len(answers()) == len(want) })
	for i, m := range answers() {
		if m.Values["t"] != "ack" || m.Values["a"] != want[i][0] || m.Values["data"] != want[i][1] {
			t.Errorf("answer %d: %v, want %v", i, m.Values, want[i])
		}
	}
	if first := answers()[0]; first.Values["b0"] != "\x01" {
		t.Errorf("attachment: %q", first.Values["b0"])
	}
	eventually(t, "both dead letters are there", func() bool { return len(r.dead()) == 2 })
	if dead := r.dead(); dead[1].Values["dead.reason"] != "never" || dead[1].Values["data"] != "[1]" {
		t.Errorf("dead letters: %v", dead)
	}
}

func TestAnswerer_AnswersFromAnyProcess(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startServer(t).NewClient(), 1)
	answers := r.answers()
	a := backend.Answerer{Client: r.client}
	if err := a.Answer(t.Context(), "n1", "tok", "one", 2); err != nil {
		t.Fatal(err)
	}
	if err := a.Answer(t.Context(), "gone", "tok"); err != nil {
		t.Fatal(err)
	}
	if list := answers(); len(list) != 1 || list[0].Values["data"] != `["one",2]` {
		t.Errorf("answers: %v", list)
	}
	if n := r.client.Exists(t.Context(), "carillon:in:{gone}").Val(); n != 0 {
		t.Error("an inbox was made for a gateway that has gone")
	}
}

// Consumers come and go while sockets send. Each entry is handled at least once, and each socket's first handlings are in
// order: an entry is never handled before one that precedes it has been.
func TestConsumer_OrderOfASocketHoldsOverTakeOvers(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startServer(t).NewClient(), 4)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	const sockets, entries = 20, 1500

	var mu sync.Mutex
	last := make(map[string]int64)
	inHandler := make(map[string]bool)
	var fails atomic.Int64
	h := backend.HandlerFunc(func(_ context.Context, e *backend.Entry) backend.Verdict {
		mu.Lock()
		if inHandler[e.Socket] {
			t.Errorf("two entries of %s at once", e.Socket)
		}
		inHandler[e.Socket] = true
		if e.Seq > last[e.Socket]+1 {
			t.Errorf("%s: %d after %d", e.Socket, e.Seq, last[e.Socket])
		}
		last[e.Socket] = max(last[e.Socket], e.Seq)
		mu.Unlock()
		if e.Seq%7 == 0 {
			time.Sleep(time.Millisecond)
		}
		mu.Lock()
		inHandler[e.Socket] = false
		mu.Unlock()
		if e.Attempt == 1 && e.Seq%31 == 0 {
			fails.Add(1)
			return backend.Retry(errors.New("once"))
		}
		return backend.Done()
	})
	cfg := backend.Config{Handler: h, Prefetch: 50, Concurrency: 8, Lease: 500 * time.Millisecond}
	running := []*consumer{r.consume(cfg), r.consume(cfg)}
	for i := range entries {
		r.event("s"+strconv.Itoa(random.IntN(sockets)), "e", "[]")
		if i%150 == 149 {
			k := random.IntN(len(running))
			running[k].end()
			running[k] = r.consume(cfg)
		}
	}
	r.settled()
	mu.Lock()
	defer mu.Unlock()
	for sid, n := range r.seq {
		if last[sid] != int64(n) {
			t.Errorf("%s: %d of %d entries", sid, last[sid], n)
		}
	}
	if fails.Load() == 0 {
		t.Error("no attempt failed")
	}
	if dead := r.dead(); len(dead) != 0 {
		t.Errorf("dead letters: %v", dead)
	}
}

func TestConsumer_PartitionsAreDividedEvenly(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startServer(t).NewClient(), 5)
	handler := func(owners *sync.Map, name string) backend.Handler {
		return backend.HandlerFunc(func(_ context.Context, e *backend.Entry) backend.Verdict {
			owners.Store(e.Partition, name)
			return backend.Done()
		})
	}
	var owners sync.Map
	share := func() map[string]int {
		owners.Clear()
		for i := range 40 {
			r.event("s"+strconv.Itoa(i), "e", "[]")
		}
		r.settled()
		n := make(map[string]int)
		owners.Range(func(_, name any) bool { n[name.(string)]++; return true })
		return n
	}
	r.consume(backend.Config{Handler: handler(&owners, "a"), Lease: 500 * time.Millisecond})
	eventually(t, "one has all", func() bool { return reflect.DeepEqual(share(), map[string]int{"a": 5}) })
	b := r.consume(backend.Config{Handler: handler(&owners, "b"), Lease: 500 * time.Millisecond})
	eventually(t, "two have two and three", func() bool { n := share(); return n["a"]+n["b"] == 5 && n["a"] >= 2 && n["b"] >= 2 })
	b.end()
	eventually(t, "one has all again", func() bool { return reflect.DeepEqual(share(), map[string]int{"a": 5}) })
}

func TestConsumer_StopFinishesWhatIsBeingHandled(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startServer(t).NewClient(), 1)
	begun := make(chan struct{}, 10)
	// The context of the handler tells when Run has noticed that it is to end.
	c := r.consume(backend.Config{Concurrency: 1, Grace: time.Millisecond, Handler: backend.HandlerFunc(
		func(ctx context.Context, _ *backend.Entry) backend.Verdict {
			begun <- struct{}{}
			<-ctx.Done()
			return backend.Done()
		})})
	r.event("s", "one", "[]")
	r.event("s", "two", "[]")
	receive(t, begun)
	c.end()
	if n := len(begun); n != 0 {
		t.Errorf("%d more entries were begun", n)
	}
	pending, err := r.client.XPendingExt(t.Context(), &goredis.XPendingExtArgs{Stream: r.stream(0), Group: "backend", Start: "-", End: "+", Count: 10}).Result()
	if err != nil || len(pending) > 1 || len(pending) == 1 && pending[0].RetryCount != 1 {
		t.Errorf("pending: %v, %v", pending, err)
	}
	if holder := r.client.HGet(t.Context(), "carillon:lease:{orders.0}:backend", "holder").Val(); holder != "" {
		t.Errorf("the lease is still held: %s", holder)
	}
	if n := r.client.ZCard(t.Context(), "carillon:members:{orders}:backend").Val(); n != 0 {
		t.Errorf("%d members", n)
	}
}

func TestConsumer_GraceEndsTheContextOfHandlers(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startServer(t).NewClient(), 1)
	begun := make(chan struct{})
	c := r.consume(backend.Config{Grace: time.Millisecond, Handler: backend.HandlerFunc(func(ctx context.Context, _ *backend.Entry) backend.Verdict {
		close(begun)
		<-ctx.Done()
		return backend.Retry(ctx.Err())
	})})
	r.event("s", "one", "[]")
	receive(t, begun)
	c.end()
	if dead := r.dead(); len(dead) != 0 {
		t.Errorf("dead letters: %v", dead)
	}
	handled := make(chan int, 1)
	r.consume(backend.Config{Handler: backend.HandlerFunc(func(_ context.Context, e *backend.Entry) backend.Verdict {
		handled <- e.Attempt
		return backend.Done()
	})})
	if attempt := receive(t, handled); attempt != 2 {
		t.Errorf("attempt %d", attempt)
	}
}

func TestNew_RefusesAConfigurationThatCannotWork(t *testing.T) {
	h := backend.HandlerFunc(func(context.Context, *backend.Entry) backend.Verdict { return backend.Done() })
	for name, cfg := range map[string]backend.Config{
		"no route":     {Handler: h},
		"no handler":   {Route: "r"},
		"braces":       {Route: "r{1}", Handler: h},
		"concurrency":  {Route: "r", Handler: h, Concurrency: -1},
		"prefetch":     {Route: "r", Handler: h, Prefetch: -1},
		"bytes":        {Route: "r", Handler: h, PrefetchBytes: -1},
		"attempts":     {Route: "r", Handler: h, MaxAttempts: -1},
		"dead letters": {Route: "r", Handler: h, DeadLetters: -1},
		"lease":        {Route: "r", Handler: h, Lease: time.Millisecond},
		"grace":        {Route: "r", Handler: h, Grace: -1},
	} {
		if _, err := backend.New(nil, cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
