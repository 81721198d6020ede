package pythonbus

import (
	"sync"
	"time"
)

// queue holds messages until the publisher takes them, the oldest first. Over a bound the oldest are
// dropped: clients have no use for a message of half a minute ago, and a new one must not wait behind it.
type queue struct {
	// Static after construction.
	maxMessages, maxBytes int
	maxAge                time.Duration
	metrics               *metrics
	ready                 chan struct{} // there is something to take; never closed

	mu sync.Mutex
	// mu guards the following.
	items []queued
	bytes int
}

type queued struct {
	payload []byte
	at      time.Time
}

func newQueue(messages, bytes int, age time.Duration, m *metrics) *queue {
	return &queue{maxMessages: messages, maxBytes: bytes, maxAge: age, metrics: m, ready: make(chan struct{}, 1)}
}

// push adds a message, which is the queue's from then on.
func (q *queue) push(payload []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	q.expireLocked(now)
	q.items = append(q.items, queued{payload, now})
	q.bytes += len(payload)
	for len(q.items) > q.maxMessages || q.bytes > q.maxBytes {
		q.popLocked()
		q.metrics.drop(dropFull)
	}
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// take appends the oldest messages to batch, at most max, and about 1 MiB of them.
func (q *queue) take(batch [][]byte, max int) [][]byte {
	const enough = 1 << 20
	q.mu.Lock()
	defer q.mu.Unlock()
	q.expireLocked(time.Now())
	for bytes := 0; len(q.items) > 0 && len(batch) < max && bytes < enough; {
		payload := q.popLocked()
		bytes += len(payload)
		batch = append(batch, payload)
	}
	if len(q.items) == 0 {
		q.items = nil // what one burst has taken
	}
	return batch
}

// expireLocked drops what has waited too long.
func (q *queue) expireLocked(now time.Time) {
	for len(q.items) > 0 && now.Sub(q.items[0].at) >= q.maxAge {
		q.popLocked()
		q.metrics.drop(dropAge)
	}
}

func (q *queue) popLocked() []byte {
	payload := q.items[0].payload
	q.items[0] = queued{}
	q.items = q.items[1:]
	q.bytes -= len(payload)
	return payload
}

// close drops what waits.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for range q.items {
		q.metrics.drop(dropShutdown)
	}
	q.items, q.bytes = nil, 0
}
