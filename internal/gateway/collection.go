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
	leastGarbage = 16 << 20
	// defaultPercent is Go's own GOGC.
	defaultPercent = 100
)

// tuneCollection spares a small heap needless collections, unless the environment's GOGC has set the pace. A memory
// limit still has the last word.
func tuneCollection(ctx context.Context) {
	pace := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	if metrics.Read(pace); pace[0].Value.Uint64() != defaultPercent {
		return
	}
	tick := time.NewTicker(collectionInterval)
	defer tick.Stop()
	defer debug.SetGCPercent(defaultPercent)
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	set := defaultPercent
	for {
		metrics.Read(live)
		if percent := collectionPercent(live[0].Value.Uint64()); percent != set {
			debug.SetGCPercent(percent)
			set = percent
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// collectionPercent is how much garbage a heap may hold, as a share of what lives in it.
func collectionPercent(live uint64) int {
	const smallest = 1 << 20 // nothing has been collected yet
	return max(defaultPercent, int(100*leastGarbage/max(live, smallest)))
}
