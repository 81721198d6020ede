package flush

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// guard is when a test that hangs gives up.
const guard = 30 * time.Second

// item counts its flushes; it is queued at most once at a time, as a session is that holds its lease.
type item struct {
	link   Link[*item]
	queued atomic.Bool
	times  atomic.Int64
}

func (i *item) place() *Link[*item] { return &i.link }

// writer is what a flusher writes with.
type writer struct{ wait func() }

func newWriter(wait func()) *writer { return &writer{wait} }

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(guard); !holds(); runtime.Gosched() {
		if time.Now().After(limit) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func idle[T, W any](f *Flushers[T, W]) func() bool {
	return func() bool {
		working, waiting := f.Count()
		return working == 0 && waiting == 0
	}
}

func TestFlushers_FlushEachItemAsOftenAsItIsQueued(t *testing.T) {
	var most atomic.Int64
	var f *Flushers[*item, *writer]
	f = New((*item).place, newWriter, func(i *item, _ *writer) {
		working, _ := f.Count()
		if working > int(most.Load()) {
			most.Store(int64(working))
		}
		i.queued.Store(false)
		i.times.Add(1)
	})
	items := make([]item, 300)
	const rounds = 100
	var adding sync.WaitGroup
	for part := range 3 {
		adding.Go(func() {
			for range rounds {
				for k := part; k < len(items); k += 3 {
					i := &items[k]
					for !i.queued.CompareAndSwap(false, true) {
						runtime.Gosched()
					}
					f.Add(i)
				}
			}
		})
	}
	adding.Wait()
	eventually(t, "all are flushed", idle(f))
	for k := range items {
		if n := items[k].times.Load(); n != rounds {
			t.Fatalf("item %d was flushed %d times, want %d", k, n, rounds)
		}
	}
	if n := most.Load(); n > int64(runtime.GOMAXPROCS(0)) {
		t.Errorf("%d flushers for writes that do not wait", n)
	}
}

func TestFlushers_OneThatWaitsIsReplaced(t *testing.T) {
	const stalled = 20
	release := make(chan struct{})
	var flushed atomic.Int64
	f := New((*item).place, newWriter, func(i *item, w *writer) {
		if i.queued.Load() {
			w.wait()
			w.wait() // a write may wait more than once
			<-release
		}
		flushed.Add(1)
	})
	items := make([]item, 2*stalled)
	for k := range items {
		items[k].queued.Store(k%2 == 0)
		f.Add(&items[k])
	}
	eventually(t, "those that need not wait are flushed", func() bool { return flushed.Load() == stalled })
	eventually(t, "none works on", idle(f))
	close(release)
	eventually(t, "the others are flushed", func() bool { return flushed.Load() == 2*stalled })
}

// Two items are queued by a flush until they have had enough turns: each keeps its place.
func TestFlushers_AnItemThatQueuesItselfWaitsBehindTheOthers(t *testing.T) {
	var order []*item
	var f *Flushers[*item, *writer]
	done := make(chan struct{})
	f = New((*item).place, newWriter, func(i *item, _ *writer) {
		order = append(order, i) // one flusher at a time: there are too few items for two
		if len(order) == 100 {
			close(done)
		}
		if len(order) <= 98 {
			f.Add(i)
		}
	})
	var a, b item
	f.mu.Lock() // so that a is not flushed before b is queued
	f.head, f.tail, f.length = &a, &a, 1
	f.mu.Unlock()
	f.Add(&b)
	<-done
	eventually(t, "none works on", idle(f))
	for n, i := range order {
		if want := []*item{&a, &b}[n%2]; i != want {
			t.Fatalf("turn %d was not that of the item that had waited", n)
		}
	}
}

// A goroutine that is runnable when the queue becomes empty finds the flusher still there: what it queues needs no new one.
func TestFlushers_OneThatIsDoneLooksAgainAfterTheOthers(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const rounds = 100
	there := 0
	for range rounds {
		found := make(chan int, 1)
		var f *Flushers[*item, *writer]
		f = New((*item).place, newWriter, func(*item, *writer) {
			go func() {
				working, _ := f.Count()
				found <- working
			}()
		})
		f.Add(new(item))
		there += <-found
		eventually(t, "the flusher ends", idle(f))
	}
	if there < rounds/2 { // the scheduler takes another goroutine first now and then
		t.Errorf("the flusher was there %d times of %d", there, rounds)
	}
}
