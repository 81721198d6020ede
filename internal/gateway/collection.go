package gateway

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

const (
	// leastGarbage is what is worth a collection. Go collects when the heap has doubled, which a small one under load
	// does many times a second. A collection takes some 20 ms of a single core with 10,000 clients, and delays every message
	// that arrives meanwhile.
	leastGarbage = 64 << 20
	// arrivingGarbage is the same while the number of sessions grows: the garbage of a handshake lies between the objects that its connection
	// keeps, and the memory around them stays taken until other connections fill it.
	arrivingGarbage = 12 << 20
	// defaultPercent is Go's own GOGC.
	defaultPercent = 100
)

// ownPace reports that the pace of collections is ours to set: the environment's GOGC has not.
func ownPace() bool {
	pace := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(pace)
	return pace[0].Value.Uint64() == defaultPercent
}

// pace spares a small heap needless collections while there is much to do, until stop is called. It is set anew after each
// collection: a heap that grows fast must not go on by what was right for a small one. A memory limit still has the last word.
type pace struct {
	mu sync.Mutex
	// mu guards the following.
	garbage uint64 // bytes that are worth a collection
	stopped bool
}

func paceCollections() *pace {
	p := &pace{garbage: leastGarbage}
	p.watch()
	return p
}

// watch sets the pace after the collection that has just ended, and after each that follows.
func (p *pace) watch() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	p.setLocked()
	// Garbage from the start: its finalizer runs after the next collection.
	runtime.SetFinalizer(new(collected), func(*collected) { p.watch() })
}

func (p *pace) setLocked() { debug.SetGCPercent(collectionPercent(readHeap().live, p.garbage)) }

// spare changes how much garbage is worth a collection.
func (p *pace) spare(garbage uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if garbage != p.garbage && !p.stopped {
		p.garbage = garbage
		p.setLocked()
	}
}

func (p *pace) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	debug.SetGCPercent(defaultPercent)
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
func collectionPercent(live, garbage uint64) int {
	// smallest is Go's minimum heap: by the percent at which a heap of this size would be collected after so much garbage, Go
	// collects none, however little lives, before it holds as much.
	const smallest = 4 << 20
	return max(defaultPercent, int(100*garbage/max(live, smallest)))
}
