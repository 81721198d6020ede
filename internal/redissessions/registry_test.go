package redissessions_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redissessions"
	"github.com/carillon-io/carillon/test/await"
	"github.com/carillon-io/carillon/test/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = await.Limit

func newRegistry(t *testing.T, client goredis.UniversalClient, expiry, timeout time.Duration) *redissessions.Registry {
	t.Helper()
	r, err := redissessions.New(redissessions.Config{
		Client: client, Prefix: "test", Expiry: expiry, Timeout: timeout, Logger: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run runs a registry until the test ends, or the returned function is called.
func run(t *testing.T, r *redissessions.Registry) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Run(ctx)
	}()
	end = func() {
		cancel()
		<-ended
	}
	t.Cleanup(end)
	return end
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	await.True(t, what, condition)
}

func mustSwap(t *testing.T, r *redissessions.Registry, pid, from, to string, want bool) {
	t.Helper()
	if got, err := r.Swap(t.Context(), pid, from, to); err != nil || got != want {
		t.Errorf("Swap %s from %q to %q: %t, %v; want %t", pid, from, to, got, err, want)
	}
}

func mustOwn(t *testing.T, r *redissessions.Registry, pid, want string) {
	t.Helper()
	if got, err := r.Get(t.Context(), pid); err != nil || got != want {
		t.Errorf("%s is %q's, %v; want %q", pid, got, err, want)
	}
}

func TestRegistry_SwapComparesBeforeItSets(t *testing.T) {
	r := newRegistry(t, redistest.Start(t).Client, time.Hour, patience)
	mustOwn(t, r, "p", "")
	mustSwap(t, r, "p", "a 1", "b 1", false) // there is no entry
	mustSwap(t, r, "p", "", "a 1", true)
	mustSwap(t, r, "p", "", "b 1", false) // there is one
	mustSwap(t, r, "p", "", "a 1", true)  // asked again, as after an unknown outcome
	mustOwn(t, r, "p", "a 1")
	mustSwap(t, r, "p", "a 1", "b 2", true)
	mustSwap(t, r, "p", "a 1", "c 3", false) // b was faster
	mustSwap(t, r, "p", "b 2", "a 4", true)  // and back
	mustOwn(t, r, "p", "a 4")
	mustOwn(t, r, "q", "")
}

// TestRegistry_OneOfManyTakesASession: whatever the interleaving.
func TestRegistry_OneOfManyTakesASession(t *testing.T) {
	r := newRegistry(t, redistest.Start(t).Client, time.Hour, patience)
	from := ""
	for round := range 20 {
		var wg sync.WaitGroup
		var winners atomic.Int32
		for node := range 8 {
			wg.Go(func() {
				to := fmt.Sprintf("%d %d", node, round)
				if ok, err := r.Swap(t.Context(), "p", from, to); err != nil {
					t.Error(err)
				} else if ok {
					winners.Add(1)
				}
			})
		}
		wg.Wait()
		if winners.Load() != 1 {
			t.Fatalf("round %d: %d have taken the session", round, winners.Load())
		}
		from, _ = r.Get(t.Context(), "p")
	}
}

// renews sees that what is held outlives its expiry and comes back after Redis has lost it, and what is not held does not.
func renews(t *testing.T, client goredis.UniversalClient) {
	const count = 600
	r := newRegistry(t, client, time.Second, patience)
	end := run(t, r)
	name := func(i int) string { return fmt.Sprint("pid-", i) }
	for i := range count {
		mustSwap(t, r, name(i), "", "here", true)
		r.Hold(name(i), "here")
	}
	mustSwap(t, r, "not held", "", "here", true)
	mustSwap(t, r, name(0), "here", "elsewhere", true)
	if err := client.Del(t.Context(), "test:sess:"+name(1)).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "expired where it is not held", func() bool {
		owner, err := r.Get(t.Context(), "not held")
		return err == nil && owner == ""
	})
	eventually(t, "given up where it is another's", func() bool { return r.Held() == count-1 })
	eventually(t, "entered again where it was gone", func() bool {
		owner, err := r.Get(t.Context(), name(1))
		return err == nil && owner == "here"
	})
	for i := 1; i < count; i++ {
		mustOwn(t, r, name(i), "here")
	}
	r.Drop(name(2), "here")
	r.Drop(name(3), "another")
	eventually(t, "removed", func() bool {
		owner, err := r.Get(t.Context(), name(2))
		return err == nil && owner == ""
	})
	mustOwn(t, r, name(3), "here")
	if r.Held() != count-2 {
		t.Errorf("%d held", r.Held())
	}
	// What is dropped last is removed all the same.
	r.Drop(name(4), "here")
	end()
	mustOwn(t, r, name(4), "")
}

func TestRegistry_RenewsWhatIsHeld(t *testing.T) {
	t.Run("one Redis", func(t *testing.T) { renews(t, redistest.Start(t).Client) })
	t.Run("a cluster", func(t *testing.T) {
		renews(t, redistest.StartCluster(t, 3, 0).Client(goredis.ClusterOptions{}))
	})
}

// TestRegistry_ManyCallsLeaveConnectionsToOthers: each call beyond the bound waits, and takes no connection of the pool meanwhile.
func TestRegistry_ManyCallsLeaveConnectionsToOthers(t *testing.T) {
	s := redistest.Start(t)
	options := s.Client.Options()
	client := goredis.NewClient(&goredis.Options{
		Addr: options.Addr, Username: options.Username, Password: options.Password, PoolSize: 10, PoolTimeout: time.Nanosecond,
	})
	t.Cleanup(func() { _ = client.Close() })
	r := newRegistry(t, client, time.Hour, patience)
	var calling sync.WaitGroup
	for i := range 500 {
		calling.Go(func() {
			if _, err := r.Get(t.Context(), fmt.Sprint(i)); err != nil {
				t.Error(err)
			}
			mustSwap(t, r, fmt.Sprint(i), "", "here", true)
		})
	}
	for range 50 {
		if err := client.Ping(t.Context()).Err(); err != nil {
			t.Errorf("another user of the client: %v", err)
		}
	}
	calling.Wait()
}

// TestRegistry_IsBoundedInTime: a Redis that does not answer costs a caller the timeout, and renewing goes on once it answers.
func TestRegistry_IsBoundedInTime(t *testing.T) {
	s := redistest.Start(t)
	r := newRegistry(t, s.Client, 2*time.Second, 100*time.Millisecond)
	mustSwap(t, r, "p", "", "here", true)
	r.Hold("p", "here")
	run(t, r)
	s.Signal(syscall.SIGSTOP)
	if _, err := r.Get(t.Context(), "p"); err == nil {
		t.Error("Get of a Redis that stands still: no error")
	}
	if ok, err := r.Swap(t.Context(), "p", "here", "there"); err == nil || ok {
		t.Errorf("Swap at a Redis that stands still: %t, %v", ok, err)
	}
	s.Signal(syscall.SIGCONT)
	eventually(t, "found again", func() bool {
		owner, err := r.Get(t.Context(), "p")
		return err == nil && owner != ""
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Get(ctx, "p"); err == nil {
		t.Error("Get with a context that is over: no error")
	}
}
