package gateway

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

const (
	// leastGarbage is what is worth a collection. Go collects when the heap has doubled, which a small one under load
	// does many times a second. What a collection takes of a single core, some 20 ms with 10,000 clients, every message
	// waits longer that comes meanwhile.
	leastGarbage = 64 << 20
	// defaultPercent is Go's own GOGC.
	defaultPercent = 100
)

// ownPace reports that the pace of collections is ours to set: the environment's GOGC has not.
func ownPace() bool {
	pace := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(pace)
	return pace[0].Value.Uint64() == defaultPercent
}

// paceCollections spares a small heap needless collections while there is much to do, until stop is called. It sets the pace
// anew after each collection: a heap that grows fast must not go on by what was right for a small one. A memory limit still
// has the last word.
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
