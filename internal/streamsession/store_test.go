package streamsession

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/test/await"
	"github.com/carillon-io/carillon/test/redistest"
)

// held is a session of a test.
type held struct {
	mu    sync.Mutex
	s     adapter.Session
	taken int
}

func (h *held) Describe() adapter.Session {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.s
}

func (h *held) Taken() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken++
}

func (h *held) isTaken() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.taken == 1
}

func start(t *testing.T, client goredis.UniversalClient, node string, window time.Duration) *Store {
	t.Helper()
	metrics, err := NewMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{
		Client: client, Node: node, Prefix: DefaultPrefix, Logger: zap.NewNop(), Metrics: metrics,
		Refusals: redisconn.NewRefusals(zap.NewNop(), func(string) {}),
	})
	s.SetWindow(window)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return s
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	await.True(t, what, condition)
}

func TestStore_WritesRenewsAndDrops(t *testing.T) {
	server := redistest.Start(t)
	store := start(t, server.NewClient(), "one", 2*time.Second)
	h := &held{s: session()}
	key := DefaultPrefix + h.s.PID
	store.Keep(h.s.ID, h)
	eventually(t, "stored", func() bool { return server.Do("EXISTS", key) == int64(1) })
	eventually(t, "renewed twice", func() bool { return testutil.ToFloat64(store.config.Metrics.Renewed) >= 2 })
	if n := testutil.ToFloat64(store.config.Metrics.Written); n != 1 {
		t.Errorf("written %v times", n)
	}
	server.Do("DEL", key) // Redis has lost it
	eventually(t, "stored again", func() bool { return server.Do("EXISTS", key) == int64(1) })
	store.Drop(h.s.ID)
	eventually(t, "dropped", func() bool { return server.Do("EXISTS", key) == int64(0) })
	if h.isTaken() {
		t.Error("nobody has taken it")
	}
}

// TestStore_WhoTakesFirstHasIt of many at the same time, and the node that had it notices.
func TestStore_WhoTakesFirstHasIt(t *testing.T) {
	server := redistest.Start(t)
	client := server.NewClient()
	one := start(t, client, "one", 2*time.Second)
	h := &held{s: session()}
	one.Keep(h.s.ID, h)
	eventually(t, "stored", func() bool {
		f, err := one.Find(t.Context(), h.s.PID)
		return err == nil && f != nil && f.Owner == "one"
	})
	found, err := one.Find(t.Context(), h.s.PID)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	winners := 0
	var group sync.WaitGroup
	for i := range 5 {
		other := start(t, client, "other"+string(rune('a'+i)), 2*time.Second)
		group.Go(func() {
			for range 2 { // repeated, as after an answer that was lost
				if ok, err := other.Take(t.Context(), found, h.s); err != nil {
					t.Error(err)
				} else if ok {
					mu.Lock()
					winners++
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	if winners != 2 {
		t.Errorf("taken %d times, each that could twice", winners)
	}
	eventually(t, "noticed", h.isTaken)
	one.Drop(h.s.ID)
	one.Keep("another", &held{s: adapter.Session{ID: "another", PID: "q"}})
	eventually(t, "what came behind the drop", func() bool { return server.Do("EXISTS", DefaultPrefix+"q") == int64(1) })
	if server.Do("EXISTS", DefaultPrefix+h.s.PID) != int64(1) {
		t.Error("the node that had the session removed that of the one that has it")
	}
}

// startAway has a store keep a session while Redis is away, until the server is started.
func startAway(t *testing.T) (*redistest.Server, *Store, *held) {
	t.Helper()
	server := redistest.New(t)
	client := goredis.NewClient(&goredis.Options{Addr: server.Address, DialTimeout: 100 * time.Millisecond, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	store := start(t, client, "one", time.Minute)
	h := &held{s: session()}
	store.Keep(h.s.ID, h)
	return server, store, h
}

func TestStore_AnOutageIsMadeUpFor(t *testing.T) {
	server, store, h := startAway(t)
	eventually(t, "failed", func() bool { return testutil.ToFloat64(store.config.Metrics.Failed) > 0 })
	server.Start()
	eventually(t, "stored", func() bool { return server.Do("EXISTS", DefaultPrefix+h.s.PID) == int64(1) })
}

// TestStore_WhatIsTooLargeIsNotStored: nor is what the session was before, with rooms and data that it has no more.
func TestStore_WhatIsTooLargeIsNotStored(t *testing.T) {
	server := redistest.Start(t)
	store := start(t, server.NewClient(), "one", 2*time.Second)
	h := &held{s: session()}
	key := DefaultPrefix + h.s.PID
	store.Keep(h.s.ID, h)
	eventually(t, "stored", func() bool { return server.Do("EXISTS", key) == int64(1) })
	small := h.s
	h.mu.Lock()
	h.s.Data = []byte(`"` + strings.Repeat("x", maxRecord) + `"`)
	h.mu.Unlock()
	store.Keep(h.s.ID, h)
	eventually(t, "removed", func() bool { return server.Do("EXISTS", key) == int64(0) })
	h.mu.Lock()
	h.s = small
	h.mu.Unlock()
	store.Keep(h.s.ID, h)
	eventually(t, "stored again", func() bool { return server.Do("EXISTS", key) == int64(1) })
	if h.isTaken() {
		t.Error("nobody has taken it")
	}
}

// TestStore_ALateWordOfBeingTakenIsChecked: the session may have come back since.
func TestStore_ALateWordOfBeingTakenIsChecked(t *testing.T) {
	server := redistest.Start(t)
	client := server.NewClient()
	one, two := start(t, client, "one", 2*time.Second), start(t, client, "two", 2*time.Second)
	h := &held{s: session()}
	one.Keep(h.s.ID, h)
	take := func(by *Store, from string) {
		t.Helper()
		eventually(t, "stored", func() bool {
			f, err := by.Find(t.Context(), h.s.PID)
			if err != nil || f == nil || f.Owner != from {
				return false
			}
			ok, err := by.Take(t.Context(), f, h.s)
			return err == nil && ok
		})
	}
	take(two, "one")
	take(one, "two")
	one.Taken(h.s.ID) // by the other, before
	one.Keep("another", &held{s: adapter.Session{ID: "another", PID: "q"}})
	eventually(t, "what came behind it", func() bool { return server.Do("EXISTS", DefaultPrefix+"q") == int64(1) })
	if h.isTaken() {
		t.Error("it is this node's")
	}
	take(two, "one")
	one.Taken(h.s.ID)
	eventually(t, "noticed", h.isTaken)
}

// TestStore_WithoutRightsThereIsNoSession: to try again would not help.
func TestStore_WithoutRightsThereIsNoSession(t *testing.T) {
	server := redistest.Start(t)
	server.Do("ACL", "SETUSER", "poor", "on", ">secret", "~other*", "+@all")
	client := goredis.NewClient(&goredis.Options{Addr: server.Address, Username: "poor", Password: "secret"})
	t.Cleanup(func() { _ = client.Close() })
	store := start(t, client, "one", time.Minute)
	if found, err := store.Find(t.Context(), "pid"); found != nil || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
	if n := testutil.ToFloat64(store.config.Metrics.Failed); n != 1 {
		t.Errorf("%v failures were counted", n)
	}
}

// superseding is a session of a connection in whose place another comes while it is described.
type superseding struct {
	store *Store
	by    *held
	once  sync.Once
}

func (s *superseding) Describe() adapter.Session {
	s.once.Do(func() { s.store.Keep("id", s.by) })
	return adapter.Session{ID: "id", PID: "secret"}
}

func (*superseding) Taken() {}

func TestStore_WhatIsSupersededIsNotWritten(t *testing.T) {
	server := redistest.Start(t)
	client := server.NewClient()
	store := start(t, client, "one", time.Minute)
	now := &held{s: adapter.Session{ID: "id", PID: "secret", Rooms: []string{"red"}}}
	store.Keep("id", &superseding{store: store, by: now})
	after := &held{s: adapter.Session{ID: "after", PID: "behind"}} // whose key says that what waited before is done
	eventually(t, "the later one stored", func() bool {
		f, err := store.Find(t.Context(), "secret")
		return err == nil && f != nil && len(f.Rooms) == 1
	})
	store.Keep("after", after)
	eventually(t, "another stored", func() bool {
		f, err := store.Find(t.Context(), "behind")
		return err == nil && f != nil
	})
	if f, err := store.Find(t.Context(), "secret"); err != nil || f == nil || len(f.Rooms) != 1 {
		t.Errorf("found %+v, %v", f, err)
	}
}

// lossy loses the answers of scripts.
type lossy struct{ on atomic.Bool }

func (l *lossy) DialHook(next goredis.DialHook) goredis.DialHook { return next }

func (l *lossy) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		if l.on.Load() && cmd.Name() == "eval" {
			err = io.ErrUnexpectedEOF
			cmd.SetErr(err)
		}
		return err
	}
}

func (l *lossy) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

// TestStore_ASessionTakenWithoutAnAnswer is there for the next attempt of its client, as if it had not been taken.
func TestStore_ASessionTakenWithoutAnAnswer(t *testing.T) {
	server := redistest.Start(t)
	client := goredis.NewClient(&goredis.Options{Addr: server.Address})
	t.Cleanup(func() { _ = client.Close() })
	answers := new(lossy)
	client.AddHook(answers)
	one, two := start(t, server.NewClient(), "one", time.Minute), start(t, client, "two", time.Minute)
	h := &held{s: session()}
	one.Keep(h.s.ID, h)
	find := func(owner string) (found *adapter.FoundSession) {
		t.Helper()
		eventually(t, "found", func() bool {
			f, err := two.Find(t.Context(), h.s.PID)
			found = f
			return err == nil && f != nil && f.Owner == owner
		})
		return found
	}
	as := h.s
	as.Begin = "1-0"
	answers.on.Store(true)
	if ok, err := two.Take(t.Context(), find("one"), as); ok || err == nil {
		t.Fatalf("taken: %v, %v", ok, err)
	}
	answers.on.Store(false)
	found := find("one")
	if found.Begin != as.Begin {
		t.Fatal("Redis did not do what it did not answer")
	}
	if ok, err := two.Take(t.Context(), found, as); !ok || err != nil {
		t.Fatalf("not taken: %v, %v", ok, err)
	}
	find("two")
}

// TestStore_WhatIsTakenAndDroppedAtOnceIsRemoved: taking it has stored it, before it is written.
func TestStore_WhatIsTakenAndDroppedAtOnceIsRemoved(t *testing.T) {
	server := redistest.Start(t)
	client := server.NewClient()
	one, two := start(t, client, "one", time.Minute), start(t, client, "two", time.Minute)
	h := &held{s: session()}
	one.Keep(h.s.ID, h)
	var found *adapter.FoundSession
	eventually(t, "stored", func() bool {
		f, err := two.Find(t.Context(), h.s.PID)
		found = f
		return err == nil && f != nil
	})
	if ok, err := two.Take(t.Context(), found, h.s); !ok || err != nil {
		t.Fatalf("taken: %v, %v", ok, err)
	}
	two.Keep(h.s.ID, h)
	two.Drop(h.s.ID)
	eventually(t, "removed", func() bool { return server.Do("EXISTS", DefaultPrefix+h.s.PID) == int64(0) })
}

// TestStore_StoredWaitsForTheWriteOfAChange, and ends where there is nothing to wait for.
func TestStore_StoredWaitsForTheWriteOfAChange(t *testing.T) {
	server := redistest.Start(t)
	store := start(t, server.NewClient(), "one", time.Minute)
	h := &held{s: session()}
	stored := func(ids ...string) error {
		t.Helper()
		done := make(chan error, 1)
		store.Stored(ids, time.Minute, func(err error) { done <- err })
		return <-done
	}
	for i := range 50 {
		h.mu.Lock()
		h.s.Rooms = []string{fmt.Sprint("room ", i)}
		h.mu.Unlock()
		store.Keep(h.s.ID, h)
		if err := stored(h.s.ID, "another"); err != nil {
			t.Fatal(err)
		}
		f, err := store.Find(t.Context(), h.s.PID)
		if err != nil || f == nil || !slices.Equal(f.Rooms, h.Describe().Rooms) {
			t.Fatalf("change %d: found %+v, %v", i, f, err)
		}
	}
	store.Keep(h.s.ID, h)
	large := &held{s: adapter.Session{ID: "large", PID: "l", Data: []byte(`"` + strings.Repeat("x", maxRecord) + `"`)}}
	store.Keep("large", large)
	dropped := &held{s: adapter.Session{ID: "dropped", PID: "d"}}
	store.Keep("dropped", dropped)
	store.Drop("dropped")
	if err := stored("large", "dropped", h.s.ID); err != nil {
		t.Error(err)
	}
}

// TestStore_StoredEndsWhereRedisIsAway, and counts no more than it holds.
func TestStore_StoredEndsWhereRedisIsAway(t *testing.T) {
	server, store, h := startAway(t)
	done := make(chan error, 2)
	store.Stored([]string{h.s.ID}, time.Millisecond, func(err error) { done <- err })
	if err := <-done; !errors.Is(err, adapter.ErrAway) {
		t.Errorf("%v instead of ErrAway", err)
	}
	store.Stored([]string{h.s.ID}, time.Minute, func(err error) { done <- err })
	server.Start()
	if err := <-done; err != nil {
		t.Error(err)
	}
	store.mu.Lock()
	defer store.mu.Unlock()
	if k := store.kept[h.s.ID]; store.waiting != 0 || len(k.waits)+len(k.flying) != 0 {
		t.Errorf("%d wait, %d and %d of them for the session", store.waiting, len(k.waits), len(k.flying))
	}
}
