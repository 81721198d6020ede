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
)

// trim gives memory back to the system once most of many sessions have left. By itself Go would keep it: an idle process collects
// every two minutes, and returns what is free little by little.
func (g *Gateway) trim(ctx context.Context) {
	tick := time.NewTicker(trimInterval)
	defer tick.Stop()
	var t trimmer
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if t.due(g.socketio.Engine().Sessions()) {
				debug.FreeOSMemory()
			}
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
