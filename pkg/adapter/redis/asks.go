package redis

import (
	"context"
	"sync"

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
	expected int // nodes; -1 until counted
	answered int // nodes that have said all, or, when acked, how much there will be
	// owed is how many acknowledgements each node has announced and not sent. Nodes without name share one entry.
	owed  map[string]int
	ended bool
}

func newAsk(q adapter.Query) *ask {
	_, acked := q.(adapter.BroadcastAsk)
	return &ask{acked: acked, wake: make(chan struct{}, 1), expected: -1, owed: make(map[string]int)}
}

func (a *ask) expect(nodes int) {
	a.mu.Lock()
	a.expected = nodes
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
	switch {
	case a.acked && isCount, !a.acked:
		if known && name != unnamed {
			return true // said so before
		}
		a.answered++
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

func (a *ask) wakeUp() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// collect hands answers on until all are there or ctx ends, and returns the nodes that still owe some.
func (a *ask) collect(ctx context.Context, reply func(adapter.Reply)) (missing []string) {
	for {
		a.mu.Lock()
		replies := a.replies
		a.replies = nil
		complete := a.ended
		if missing = a.missingLocked(); len(missing) == 0 {
			complete = true
		}
		a.mu.Unlock()
		for _, r := range replies {
			reply(r)
		}
		if complete || ctx.Err() != nil {
			return missing
		}
		select {
		case <-a.wake:
		case <-ctx.Done():
		}
	}
}

func (a *ask) missingLocked() []string {
	var missing []string
	for name, owed := range a.owed {
		if owed > 0 {
			missing = append(missing, name)
		}
	}
	for range a.expected - a.answered {
		missing = append(missing, unnamed)
	}
	return missing
}
