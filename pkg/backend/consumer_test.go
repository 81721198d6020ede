package backend_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/backend"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
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
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
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

// Redis is killed and comes back with what it had.
func TestConsumer_SurvivesARestartOfRedis(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	r := newRoute(t, s.NewClient(), 2)
	var mu sync.Mutex
	seen := make(map[string]int)
	r.consume(backend.Config{Lease: 500 * time.Millisecond, Handler: backend.HandlerFunc(func(_ context.Context, e *backend.Entry) backend.Verdict {
		mu.Lock()
		defer mu.Unlock()
		seen[e.Key()]++
		return backend.Done()
	})})
	const entries = 400
	for i := range entries {
		if i == 100 || i == 300 {
			s.Kill()
			s.Start()
		}
		r.event("s"+strconv.Itoa(i%10), "e", "[]")
	}
	r.settled()
	mu.Lock()
	defer mu.Unlock()
	for sid, n := range r.seq {
		for seq := 1; seq <= n; seq++ {
			if seen[sid+"/orders/"+strconv.Itoa(seq)] == 0 {
				t.Errorf("%s %d was not handled", sid, seq)
			}
		}
	}
}

// Redis loses everything: the group, the leases, the route. Consumers begin anew with what comes then.
func TestConsumer_SurvivesARedisThatComesBackEmpty(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startServer(t).NewClient(), 1)
	handled := make(chan string, 10)
	r.consume(backend.Config{Lease: 500 * time.Millisecond, Handler: backend.HandlerFunc(func(_ context.Context, e *backend.Entry) backend.Verdict {
		handled <- e.Event
		return backend.Done()
	})})
	r.event("s", "before", "[]")
	receive(t, handled)
	if err := r.client.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.client.HSet(t.Context(), "carillon:routes", "orders", 1).Err(); err != nil {
		t.Fatal(err)
	}
	r.event("s", "after", "[]")
	if got := receive(t, handled); got != "after" {
		t.Errorf("handled %q", got)
	}
}

func TestConsumer_ClaimsWhatOtherConsumersLeftPending(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startServer(t).NewClient(), 1)
	for i := range 300 {
		r.event("s"+strconv.Itoa(i%3), "e", fmt.Sprintf("[%d]", i/3))
	}
	if err := r.client.XGroupCreate(t.Context(), r.stream(0), "backend", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.client.XReadGroup(t.Context(), &goredis.XReadGroupArgs{
		Group: "backend", Consumer: "someone", Streams: []string{r.stream(0), ">"}, Count: 200, Block: -1,
	}).Err(); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	next := make(map[string]int)
	r.consume(backend.Config{Handler: backend.HandlerFunc(func(_ context.Context, e *backend.Entry) backend.Verdict {
		mu.Lock()
		defer mu.Unlock()
		if want := fmt.Sprintf("[%d]", next[e.Socket]); string(e.Args.JSON) != want {
			t.Errorf("%s: %s, want %s", e.Socket, e.Args.JSON, want)
		}
		next[e.Socket]++
		return backend.Done()
	})})
	r.settled()
	if n := next["s0"] + next["s1"] + next["s2"]; n != 300 {
		t.Errorf("%d handled", n)
	}
}

// Redis has executed a read, and the reply got lost, in a retry inside go-redis for instance: what it held comes before
// anything new.
func TestConsumer_ReadWhoseReplyGotLostIsMadeUpFor(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startServer(t).NewClient(), 1)
	handled := make(chan int64, 100)
	r.consume(backend.Config{Handler: backend.HandlerFunc(func(_ context.Context, e *backend.Entry) backend.Verdict {
		handled <- e.Seq
		return backend.Done()
	})})
	r.event("s", "e", "[]")
	next := receive(t, handled)
	for lost := int64(0); lost < 10; { // the consumer may be faster
		id := r.event("s", "e", "[]")
		read := goredis.NewScript(`
			local reply = redis.call('XREADGROUP', 'GROUP', 'backend', 'carillon', 'COUNT', 1, 'STREAMS', KEYS[2], '>')
			if not reply then return 0 end
			redis.call('HSET', KEYS[1], 'read', ARGV[1])
			return 1`)
		n, err := read.Run(t.Context(), r.client, []string{"carillon:lease:{orders.0}:backend", r.stream(0)}, id).Int64()
		if err != nil {
			t.Fatal(err)
		}
		lost += n
		r.event("s", "e", "[]")
		for range 2 {
			if next++; receive(t, handled) != next {
				t.Fatalf("want entry %d", next)
			}
		}
	}
	r.settled()
}

func TestConsumer_EntriesTrimmedWhilePendingAreMissed(t *testing.T) {
	t.Parallel()
	r := newRoute(t, startServer(t).NewClient(), 1)
	first := r.event("s", "gone", "[]")
	r.event("s", "there", "[]")
	if err := r.client.XGroupCreate(t.Context(), r.stream(0), "backend", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.client.XReadGroup(t.Context(), &goredis.XReadGroupArgs{
		Group: "backend", Consumer: "someone", Streams: []string{r.stream(0), ">"}, Block: -1,
	}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.client.XDel(t.Context(), r.stream(0), first).Err(); err != nil {
		t.Fatal(err)
	}
	handled := make(chan string, 10)
	r.consume(backend.Config{Handler: backend.HandlerFunc(func(_ context.Context, e *backend.Entry) backend.Verdict {
		handled <- e.Event
		return backend.Done()
	})})
	if got := receive(t, handled); got != "there" {
		t.Errorf("handled %q", got)
	}
	r.settled()
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
