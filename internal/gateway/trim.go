package gateway

import (
	"context"
	"runtime/debug"
	"time"
)

const (
	trimInterval = time.Second
	// trimPeak is the number of sessions from which their leaving is worth a collection.
	trimPeak = 1000

	// arrivingSessions is how many more sessions after an interval mean that their number grows.
	arrivingSessions = 20

	// quietBytes is how much a quiet node allocates in an interval at most, and quietIntervals how long it takes to
	// believe that it is one.
	quietBytes     = 1 << 20
	quietIntervals = 2
	// quietSpare is the least that a quiet node gives back.
	quietSpare = 4 << 20
)

// tuneMemory paces collections, and gives memory back to the system once most of many sessions have left and once there is
// little to do. By itself Go would keep it: an idle process collects every two minutes, and returns what is free little by
// little. Where the environment's GOGC has set the pace, only sessions that have left count.
func (g *Gateway) tuneMemory(ctx context.Context) {
	own := ownPace()
	var garbage *pace
	if own {
		garbage = paceCollections()
		defer garbage.stop()
	}
	tick := time.NewTicker(trimInterval)
	defer tick.Stop()
	var sessions trimmer
	var calm stillness
	var crowd arrivals
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n := g.socketio.Engine().Sessions()
		if own {
			garbage.spare(crowd.garbage(n))
		}
		left := sessions.due(n)
		quiet := own && calm.due(readHeap())
		if left || quiet {
			debug.FreeOSMemory()
		}
	}
}

// trimmer decides when sessions have left.
type trimmer struct {
	peak int // the most sessions seen since the last trim
}

// due takes the number of sessions and reports whether it has fallen below half of a peak.
func (t *trimmer) due(sessions int) bool {
	t.peak = max(t.peak, sessions)
	if t.peak < trimPeak || sessions >= t.peak/2 {
		return false
	}
	t.peak = sessions
	return true
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

// arrivals notices that the number of sessions grows.
type arrivals struct {
	sessions int // an interval ago
}

// garbage takes the number of sessions of one interval after the other and returns how much garbage is worth a collection.
func (a *arrivals) garbage(sessions int) uint64 {
	more := sessions - a.sessions
	a.sessions = sessions
	if more >= arrivingSessions {
		return arrivingGarbage
	}
	return leastGarbage
}
