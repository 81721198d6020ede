package upstream

import "time"

// watch tells which nodes are lost: those whose heartbeat has not changed during a whole period in which Redis answered. It
// compares counts instead of trusting an expiry in Redis, which goes on while Redis is away and no node can send a heartbeat.
type watch struct {
	times Times

	last      time.Time // Redis answered
	answering time.Time // since when it has done so at every beat
	nodes     map[string]seenNode
}

// seenNode is what is known of a node's heartbeat.
type seenNode struct {
	count string
	since time.Time // when that was first seen
}

func newWatch(times Times) *watch { return &watch{times: times, nodes: make(map[string]seenNode)} }

// see takes the heartbeats that Redis answered with at a time, and returns the names of those that are lost.
func (w *watch) see(seen map[string]string, now time.Time) (lost []string) {
	if now.Sub(w.last) > w.times.Period/3 {
		w.answering = now // it was away, or too slow to judge by
	}
	w.last = now
	for name := range w.nodes {
		if _, there := seen[name]; !there {
			delete(w.nodes, name)
		}
	}
	for name, count := range seen {
		n, known := w.nodes[name]
		if !known || n.count != count {
			w.nodes[name] = seenNode{count, now}
			continue
		}
		since := n.since
		if w.answering.After(since) {
			since = w.answering
		}
		if now.Sub(since) >= w.times.Period {
			lost = append(lost, name)
		}
	}
	return lost
}
