package redisquestions

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

// Questions are the open queries of a node, by request id. The zero value has none.
type Questions struct {
	mu sync.Mutex
	// mu guards the following.
	open   map[string]*Question
	closed bool
}

// Open makes a query one that answers may come for, until Remove; ok is false after Close.
func (s *Questions) Open(id string, query adapter.Query) (_ *Question, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, false
	}
	if s.open == nil {
		s.open = make(map[string]*Question)
	}
	q := &Question{wake: make(chan struct{}, 1), tally: newTally(query)}
	s.open[id] = q
	return q, true
}

// Remove forgets a query: answers to it are unasked from now on.
func (s *Questions) Remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, id)
}

// Receive hands a message to the query that it answers. asked: there is one; kept: it had room for what the message brings.
func (s *Questions) Receive(r rediswire.Response) (asked, kept bool) {
	s.mu.Lock()
	q := s.open[r.ID]
	s.mu.Unlock()
	if q == nil {
		return false, false
	}
	return true, q.receive(r)
}

// Leave records that a node is gone: it answers nothing any more.
func (s *Questions) Leave(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.open {
		q.update(func() { q.tally.gone[node] = true })
	}
}

// Close ends all queries with what they have by then.
func (s *Questions) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, q := range s.open {
		q.update(func() { q.ended = true })
	}
}

// Question is one open query. The goroutines that receive put answers in, the caller's takes them out.
type Question struct {
	wake chan struct{} // something changed; static, never closed

	mu sync.Mutex
	// mu guards the following.
	tally   tally
	replies []adapter.Reply
	ended   bool
}

// receive records a message; false means that there is no room for what it brings.
func (q *Question) receive(r rediswire.Response) (kept bool) {
	kept = true
	q.update(func() {
		switch {
		case !q.tally.receive(r) || r.Reply == nil:
		case len(q.replies) >= maxReplies:
			kept = false
		default:
			q.replies = append(q.replies, q.tally.reply(r))
		}
	})
	return kept
}

// update changes the question and wakes its caller.
func (q *Question) update(change func()) {
	q.mu.Lock()
	change()
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// Collect waits for the answers that are expected and hands them to reply, one at a time. Once patience has ended it waits
// only for nodes that have begun to answer; it returns what is missing, when ctx ends at the latest.
func (q *Question) Collect(
	ctx context.Context, e redispeers.Expectation, patience time.Duration, reply func(adapter.Reply),
) Outcome {
	q.update(func() { q.tally.expected = e })
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for patient := true; ; {
		q.mu.Lock()
		replies := q.replies
		q.replies = nil
		done := q.ended || q.tally.isComplete(patient) || ctx.Err() != nil
		var outcome Outcome
		if done {
			outcome = q.tally.outcome()
		}
		q.mu.Unlock()
		for _, one := range replies {
			reply(one)
		}
		if done {
			return outcome
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
		case <-timer.C:
			patient = false
		}
	}
}
