package gateway

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
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
	// quietGarbage is the least that a quiet node gives back.
	quietGarbage = 4 << 20
)

// tuneCollection spares a small heap needless collections while there is much to do, and gives the garbage back once
// there is little, unless the environment's GOGC has set the pace. A memory limit still has the last word.
func tuneCollection(ctx context.Context) {
	pace := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	if metrics.Read(pace); pace[0].Value.Uint64() != defaultPercent {
		return
	}
	tick := time.NewTicker(collectionInterval)
	defer tick.Stop()
	defer debug.SetGCPercent(defaultPercent)
	set := defaultPercent
	var calm stillness
	for {
		h := readHeap()
		if percent := collectionPercent(h.live); percent != set {
			debug.SetGCPercent(percent)
			set = percent
		}
		if calm.due(h) {
			debug.FreeOSMemory()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// heap is what the runtime says of its heap, in bytes.
type heap struct {
	live      uint64 // after the last collection
	objects   uint64 // now, garbage included
	allocated uint64 // since the start
}

func readHeap() heap {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(samples)
	return heap{samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64()}
}

// collectionPercent is how much garbage a heap may hold, as a share of what lives in it.
func collectionPercent(live uint64) int {
	const smallest = 1 << 20 // nothing has been collected yet
	return max(defaultPercent, int(100*leastGarbage/max(live, smallest)))
}

// stillness notices that a node has little to do and holds garbage that by itself it would keep for minutes.
type stillness struct {
	allocated uint64
	intervals int // in a row
}

// due takes the heap of one interval after the other and reports whether it is time to collect. What has been allocated since the last
// collection is taken for garbage; a large heap waits for more of it, since collecting costs more there.
func (s *stillness) due(h heap) bool {
	quiet := h.allocated-s.allocated <= quietBytes
	s.allocated = h.allocated
	if !quiet {
		s.intervals = 0
		return false
	}
	s.intervals++
	return s.intervals >= quietIntervals && h.objects > h.live+max(quietGarbage, h.live/4)
}
