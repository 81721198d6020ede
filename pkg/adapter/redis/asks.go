package redis

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// maxReplies bounds the answers that wait for the caller of one query.
const maxReplies = 10_000

// asks are the open queries of this node, by request id.
type asks struct {
	metrics *metrics // static

	mu sync.Mutex
	// mu guards the following.
	open   map[string]*ask
	closed bool
}

func newAsks(m *metrics) *asks { return &asks{metrics: m, open: make(map[string]*ask)} }

func (s *asks) add(id string, a *ask) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.open[id] = a
	return true
}

func (s *asks) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, id)
}

func (s *asks) receive(r rediswire.Response) {
	s.mu.Lock()
	a := s.open[r.ID]
	s.mu.Unlock()
	if a == nil {
		s.metrics.receivedDropped[droppedUnasked].Inc()
		return
	}
	if !a.receive(r) {
		s.metrics.receivedDropped[droppedOverflow].Inc()
	}
}

// leave takes in that a node is gone.
func (s *asks) leave(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.open {
		a.leave(node)
	}
}

// close ends all queries; what they have by then is what they get.
func (s *asks) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, a := range s.open {
		a.end()
	}
}

// ask is one open query. The subscription puts answers in, the caller's goroutine takes them out.
type ask struct {
	// Static after construction.
	acked bool          // a Count comes first, and then so many acknowledgements
	wake  chan struct{} // something changed; never closed

	mu sync.Mutex
	// mu guards the following.
	replies  []adapter.Reply
	expected expectation // until it is set, nobody collects
	// owed is how many acknowledgements each node that has answered has announced and not sent. Nodes without name share
	// one entry.
	owed    map[string]int
	unnamed int             // nodes without name that have answered
	parts   map[string]int  // of nodes whose answer comes in parts, until the last one: how many have come
	cut     []string        // nodes whose answer has come, and not all of it
	gone    map[string]bool // nodes that will not say any more
	ended   bool
}

func newAsk(q adapter.Query) *ask {
	_, acked := q.(adapter.BroadcastAsk)
	return &ask{
		acked: acked, wake: make(chan struct{}, 1), owed: make(map[string]int), parts: make(map[string]int),
		gone: make(map[string]bool),
	}
}

func (a *ask) expect(e expectation) {
	a.mu.Lock()
	a.expected = e
	a.mu.Unlock()
	a.wakeUp()
}

// leave takes in that a node is gone, with whatever it owes.
func (a *ask) leave(node string) {
	a.mu.Lock()
	a.gone[node] = true
	a.mu.Unlock()
	a.wakeUp()
}

func (a *ask) end() {
	a.mu.Lock()
	a.ended = true
	a.mu.Unlock()
	a.wakeUp()
}

// receive takes an answer in; false means that there is no room for it.
func (a *ask) receive(r rediswire.Response) bool {
	name := r.UID
	if name == "" {
		name = unnamed
	}
	a.mu.Lock()
	defer a.wakeUp()
	defer a.mu.Unlock()
	count, isCount := r.Reply.(adapter.Count)
	_, known := a.owed[name]
	parts, dividing := a.parts[name]
	switch {
	case !a.acked && dividing:
		a.receivePartLocked(name, parts, r.Extent)
	case a.acked && isCount, !a.acked:
		if known && name != unnamed {
			return true // said so before
		}
		a.receivePartLocked(name, 0, r.Extent)
		if name == unnamed {
			a.unnamed++
		}
		a.owed[name] += int(count)
	default:
		a.owed[name]--
	}
	if r.Reply == nil {
		return true
	}
	if len(a.replies) >= maxReplies {
		return false
	}
	a.replies = append(a.replies, r.Reply)
	return true
}

// receivePartLocked notes how much of a node's answer has come, with what came in parts before.
func (a *ask) receivePartLocked(name string, parts int, extent rediswire.Extent) {
	if extent.More {
		a.parts[name] = parts + 1
		return
	}
	delete(a.parts, name)
	if extent.Cut || extent.Parts != parts {
		a.cut = append(a.cut, name)
	}
}

func (a *ask) wakeUp() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// outcome is who had not answered when a query ended.
type outcome struct {
	missing []string // who owes an answer, or part of one
	silent  []string // those among them with a name that said nothing at all
	others  int      // and how many without
}

// collect hands answers on until all are there or ctx ends. Once patience has ended, only nodes that have begun to
// answer are waited for.
func (a *ask) collect(ctx context.Context, patience <-chan time.Time, reply func(adapter.Reply)) outcome {
	for patient := true; ; {
		a.mu.Lock()
		replies := a.replies
		a.replies = nil
		complete := a.ended || a.completeLocked(patient)
		o := a.outcomeLocked()
		a.mu.Unlock()
		for _, r := range replies {
			reply(r)
		}
		if complete || ctx.Err() != nil {
			return o
		}
		select {
		case <-a.wake:
		case <-ctx.Done():
		case <-patience:
			patient = false
		}
	}
}

// completeLocked reports whether nobody is waited for any more.
func (a *ask) completeLocked(patient bool) bool {
	for name, owed := range a.owed {
		if owed > 0 && !a.gone[name] {
			return false
		}
	}
	for name := range a.parts {
		if !a.gone[name] {
			return false
		}
	}
	if !patient {
		return true
	}
	for name, awaited := range a.expected.named {
		if _, answered := a.owed[name]; awaited && !answered && !a.gone[name] {
			return false
		}
	}
	return a.absentLocked() <= a.expected.excused
}

// absentLocked is how many nodes that are not known by name have not answered.
func (a *ask) absentLocked() int {
	answered := a.unnamed
	for name := range a.owed {
		if _, known := a.expected.named[name]; !known && name != unnamed {
			answered++
		}
	}
	return max(a.expected.others-answered, 0)
}

func (a *ask) outcomeLocked() outcome {
	o := outcome{others: a.absentLocked()}
	for name := range a.expected.named {
		if _, answered := a.owed[name]; !answered {
			o.silent = append(o.silent, name)
		}
	}
	o.missing = append(o.missing, o.silent...)
	for name, owed := range a.owed {
		if owed > 0 {
			o.missing = append(o.missing, name)
		}
	}
	o.missing = append(o.missing, a.cut...)
	for name := range a.parts {
		o.missing = append(o.missing, name)
	}
	slices.Sort(o.missing)
	for range o.others {
		o.missing = append(o.missing, unnamed)
	}
	return o
}
