package redis

import (
	"sync"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// message is one PUBLISH to be.
type message struct {
	channel  string
	payload  []byte
	queuedAt time.Time
	done     func(error) // may be nil
	probe    bool        // our own, not counted as traffic
}

func (m message) finish(err error) {
	if m.done != nil {
		m.done(err)
	}
}

// queue holds messages until the publisher takes them. It is bounded by number, bytes and age; over a bound the oldest
// go first, whether or not anybody takes messages at the time.
type queue struct {
	// Static after construction.
	limits  Queue
	metrics *metrics
	// ready tells the one taker that there is something; never closed.
	ready chan struct{}

	mu sync.Mutex
	// mu guards the following.
	messages []message // oldest first
	bytes    int
	closed   bool
	timer    *time.Timer // runs expire while messages wait
	armed    bool
}

func newQueue(limits Queue, m *metrics) *queue {
	return &queue{limits: limits, metrics: m, ready: make(chan struct{}, 1)}
}

// push takes m in. A message that has to go is finished before push returns: with ErrFull, or ErrAway after close.
func (q *queue) push(m message) {
	if len(m.payload) > q.limits.Bytes {
		q.drop([]message{m}, dropFull, adapter.ErrFull)
		return
	}
	m.queuedAt = time.Now()
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		q.drop([]message{m}, dropShutdown, adapter.ErrAway)
		return
	}
	q.messages = append(q.messages, m)
	q.bytes += len(m.payload)
	dropped := q.excessLocked()
	q.changedLocked()
	q.mu.Unlock()
	q.drop(dropped, dropFull, adapter.ErrFull)
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take removes the oldest messages: at most maxMessages, and at most maxBytes unless the first alone is longer.
func (q *queue) take(maxMessages, maxBytes int) []message {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, bytes := 0, 0
	for n < len(q.messages) && n < maxMessages {
		bytes += len(q.messages[n].payload)
		if n > 0 && bytes > maxBytes {
			break
		}
		n++
	}
	taken := q.removeLocked(n)
	q.changedLocked()
	return taken
}

// putBack returns messages that were taken and certainly not sent to where they were.
func (q *queue) putBack(taken []message) {
	q.mu.Lock()
	q.messages = append(taken[:len(taken):len(taken)], q.messages...)
	for _, m := range taken {
		q.bytes += len(m.payload)
	}
	dropped := q.excessLocked()
	q.changedLocked()
	q.mu.Unlock()
	q.drop(dropped, dropFull, adapter.ErrFull)
}

// close drops what waits and all that is still to come.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	dropped := q.removeLocked(len(q.messages))
	q.changedLocked()
	if q.timer != nil {
		q.timer.Stop()
	}
	q.mu.Unlock()
	q.drop(dropped, dropShutdown, adapter.ErrAway)
}

// excessLocked removes the oldest messages until the rest is within bounds.
func (q *queue) excessLocked() []message {
	n, bytes := 0, q.bytes
	for len(q.messages)-n > q.limits.Messages || bytes > q.limits.Bytes {
		bytes -= len(q.messages[n].payload)
		n++
	}
	return q.removeLocked(n)
}

// removeLocked takes the n oldest out. The result is the caller's.
func (q *queue) removeLocked(n int) []message {
	if n == 0 {
		return nil
	}
	removed := append([]message(nil), q.messages[:n]...)
	clear(q.messages[:n])
	q.messages = q.messages[n:]
	for _, m := range removed {
		q.bytes -= len(m.payload)
	}
	return removed
}

func (q *queue) changedLocked() {
	q.metrics.queued.Set(float64(len(q.messages)))
	if len(q.messages) == 0 || q.armed || q.closed {
		return
	}
	q.armed = true
	wait := max(time.Until(q.messages[0].queuedAt.Add(q.limits.Age)), 0)
	if q.timer == nil {
		q.timer = time.AfterFunc(wait, q.expire)
	} else {
		q.timer.Reset(wait)
	}
}

// expire drops what has waited too long.
func (q *queue) expire() {
	q.mu.Lock()
	q.armed = false
	n := 0
	for n < len(q.messages) && time.Since(q.messages[n].queuedAt) >= q.limits.Age {
		n++
	}
	dropped := q.removeLocked(n)
	q.changedLocked()
	q.mu.Unlock()
	q.drop(dropped, dropAge, adapter.ErrAway)
}

// drop counts and finishes messages. The caller does not hold mu.
func (q *queue) drop(messages []message, reason publishDrop, err error) {
	for _, m := range messages {
		if !m.probe {
			q.metrics.publishDropped[reason].Inc()
		}
		m.finish(err)
	}
}
