package gateway

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	collectionInterval = time.Second
	// leastGarbage is what is worth a collection. Go collects when the heap has doubled, which a small one under load
	// does dozens of times a second.
	leastGarbage = 12 << 20
	// defaultPercent is Go's own GOGC.
	defaultPercent = 100

	// quietBytes is how much a quiet node allocates in an interval at most, and quietIntervals how long it takes to
	// believe that it is one.
	quietBytes     = 1 << 20
	quietIntervals = 2
	// quietSpare is the least that a quiet node gives back.
	quietSpare = 4 << 20
)

// tuneCollection spares a small heap needless collections while there is much to do, and gives the garbage back once
// there is little, unless the environment's GOGC has set the pace. A memory limit still has the last word.
func tuneCollection(ctx context.Context) {
	pace := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	if metrics.Read(pace); pace[0].Value.Uint64() != defaultPercent {
		return
	}
	defer paceCollections()()
	tick := time.NewTicker(collectionInterval)
	defer tick.Stop()
	var calm stillness
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if calm.due(readHeap()) {
			debug.FreeOSMemory()
		}
	}
}

// paceCollections sets the pace anew after each collection, until stop is called: a heap that grows fast must not go on by
// what was right for a small one.
func paceCollections() (stop func()) {
	var mu sync.Mutex
	stopped := false
	var watch func()
	watch = func() {
		mu.Lock()
		defer mu.Unlock()
		if stopped {
			return
		}
		debug.SetGCPercent(collectionPercent(readHeap().live))
		// Garbage from the start: its finalizer runs after the next collection.
		runtime.SetFinalizer(new(collected), func(*collected) { watch() })
	}
	watch()
	return func() {
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		debug.SetGCPercent(defaultPercent)
	}
}

// collected is large enough to have an allocation, and so a finalizer, of its own.
type collected struct{ _ [64]byte }

// heap is what the runtime says of its heap, in bytes.
type heap struct {
	live      uint64 // after the last collection
	held      uint64 // from the system now: garbage and free space included
	allocated uint64 // since the start
}

func readHeap() heap {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	return heap{
		live: samples[0].Value.Uint64(), allocated: samples[1].Value.Uint64(),
		held: samples[2].Value.Uint64() + samples[3].Value.Uint64(),
	}
}

// collectionPercent is how much garbage a heap may hold, as a share of what lives in it.
func collectionPercent(live uint64) int {
	const smallest = 1 << 20 // nothing has been collected yet
	return max(defaultPercent, int(100*leastGarbage/max(live, smallest)))
}

// stillness notices that a node has little to do and holds memory that by itself it would keep for minutes.
type stillness struct {
	allocated uint64
	intervals int // in a row
}

// due takes the heap of one interval after the other and reports whether it is time to collect. What did not live at the
// last collection is taken for spare; a large heap waits for more of it, since collecting costs more there.
func (s *stillness) due(h heap) bool {
	quiet := h.allocated-s.allocated <= quietBytes
	s.allocated = h.allocated
	if !quiet {
		s.intervals = 0
		return false
	}
	s.intervals++
	return s.intervals >= quietIntervals && h.held > h.live+max(quietSpare, h.live/4)
}
