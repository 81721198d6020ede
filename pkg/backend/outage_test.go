package backend_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/backend"
)

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
