package redis

import (
	"context"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/redispeers"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// maxReplies bounds the answers that wait for the caller of one query.
const maxReplies = 10_000

// questions are the open queries of this node, by request id.
type questions struct {
	metrics *metrics // static

	mu sync.Mutex
	// mu guards the following.
	open   map[string]*question
	closed bool
}

func newQuestions(m *metrics) *questions {
	return &questions{metrics: m, open: make(map[string]*question)}
}

func (s *questions) add(id string, q *question) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.open[id] = q
	return true
}

func (s *questions) remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, id)
}

func (s *questions) receive(r rediswire.Response) {
	s.mu.Lock()
	q := s.open[r.ID]
	s.mu.Unlock()
	if q == nil {
		s.metrics.receivedDropped[droppedUnasked].Inc()
		return
	}
	if !q.receive(r) {
		s.metrics.receivedDropped[droppedOverflow].Inc()
	}
}

// leave notes that a node is gone: it answers nothing any more.
func (s *questions) leave(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.open {
		q.update(func() { q.tally.gone[node] = true })
	}
}

// close ends all queries; what they have by then is what they get.
func (s *questions) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, q := range s.open {
		q.update(func() { q.ended = true })
	}
}

// question is one open query. The subscription puts answers in, the caller's goroutine takes them out.
type question struct {
	wake chan struct{} // something changed; static, never closed

	mu sync.Mutex
	// mu guards the following.
	tally   tally
	replies []adapter.Reply
	ended   bool
}

func newQuestion(q adapter.Query) *question {
	return &question{wake: make(chan struct{}, 1), tally: newTally(q)}
}

func (q *question) expect(e redispeers.Expectation) { q.update(func() { q.tally.expected = e }) }

// receive notes an answer; false means that there is no room for it.
func (q *question) receive(r rediswire.Response) (kept bool) {
	kept = true
	q.update(func() {
		switch {
		case !q.tally.receive(r) || r.Reply == nil:
		case len(q.replies) >= maxReplies:
			kept = false
		default:
			q.replies = append(q.replies, r.Reply)
		}
	})
	return kept
}

// update changes the question and wakes its caller.
func (q *question) update(change func()) {
	q.mu.Lock()
	change()
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// collect hands answers on until all are there or ctx ends. It is called once it is known whose answers to expect.
func (q *question) collect(ctx context.Context, patience <-chan time.Time, reply func(adapter.Reply)) outcome {
	for patient := true; ; {
		q.mu.Lock()
		replies := q.replies
		q.replies = nil
		done := q.ended || q.tally.isComplete(patient) || ctx.Err() != nil
		var r outcome
		if done {
			r = q.tally.result()
		}
		q.mu.Unlock()
		for _, one := range replies {
			reply(one)
		}
		if done {
			return r
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
		case <-patience:
			patient = false
		}
	}
}
