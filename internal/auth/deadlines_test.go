package auth_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/internal/auth"
)

// Against a model: each deadline is called once, at its time, unless it was moved or taken out before.
func TestDeadlines_EachIsCalledAtItsTimeOnce(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			var (
				ds     auth.Deadlines
				mu     sync.Mutex
				called = map[int][]time.Time{}
				want   = map[int][]time.Time{}
				set    = map[int]time.Time{}
				list   [50]auth.Deadline
			)
			for i := range list {
				list[i].Due = func() {
					mu.Lock()
					defer mu.Unlock()
					called[i] = append(called[i], time.Now())
				}
			}
			pass := func() { // what has come due in the model
				synctest.Wait()
				for i, at := range set {
					if !at.After(time.Now()) {
						want[i] = append(want[i], at)
						delete(set, i)
					}
				}
			}
			for range 400 {
				i := random.IntN(len(list))
				switch random.IntN(4) {
				case 0:
					ds.Set(&list[i], time.Time{})
					delete(set, i)
				case 1, 2:
					at := time.Now().Add(time.Duration(1+random.IntN(300)) * time.Second)
					ds.Set(&list[i], at)
					set[i] = at
				case 3:
					time.Sleep(time.Duration(random.IntN(20)) * time.Second)
					pass()
				}
			}
			time.Sleep(10 * time.Minute)
			pass()
			for i := range list {
				same := slices.EqualFunc(called[i], want[i], func(a, b time.Time) bool { return a.Equal(b) })
				if !same {
					t.Errorf("seed %d, deadline %d: called at %v, want %v", seed, i, called[i], want[i])
				}
			}
		})
	}
}

func TestDeadlines_OneTimeForManyAndYearsAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			ds    auth.Deadlines
			calls atomic.Int32
			many  [10_000]auth.Deadline
		)
		at := time.Now().Add(3 * 365 * 24 * time.Hour)
		for i := range many {
			many[i].Due = func() { calls.Add(1) }
			ds.Set(&many[i], at)
		}
		time.Sleep(time.Until(at) - time.Nanosecond)
		if n := calls.Load(); n != 0 {
			t.Fatalf("%d early", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n := calls.Load(); n != int32(len(many)) {
			t.Errorf("%d of %d", n, len(many))
		}
	})
}

func TestDeadlines_NothingIsSetAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ds auth.Deadlines
		d := auth.Deadline{Due: func() { t.Error("called") }}
		ds.Set(&d, time.Now().Add(time.Second))
		ds.End(&d)
		ds.Set(&d, time.Now().Add(time.Second))
		time.Sleep(time.Minute)
	})
}

func TestDeadlines_PastIsDueAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ds auth.Deadlines
		done := make(chan struct{})
		d := auth.Deadline{Due: func() { close(done) }}
		ds.Set(&d, time.Unix(1, 0))
		<-done
	})
}
