package redisqueue

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// Limits bound a queue.
type Limits struct {
	Messages int
	Bytes    int // of their payloads
	Age      time.Duration
}

// Drop is why a message was dropped.
type Drop string

// The reasons.
const (
	Full     Drop = "full"     // more messages or bytes waited than allowed
	Age      Drop = "age"      // it waited too long
	Shutdown Drop = "shutdown" // it still waited when the queue was closed
)

// Metrics are what queues show of themselves; several queues may share them.
type Metrics struct {
	Waiting prometheus.Gauge
	Dropped func(Drop) // counts one message; must not block
}

// Queue holds the messages for one server. Its methods may be called by several goroutines.
type Queue struct {
	// Static after construction.
	limits  Limits
	metrics Metrics
	ready   chan struct{} // there may be something to take; never closed

	mu sync.Mutex
	// mu guards the following.
	messages fifo
	probes   []Message // not counted
	// held are the messages of slots that are held back, in their order. A slot that is held back has an entry.
	held   map[uint16][]Message
	out    []Message // taken, with an outcome that is not known yet
	count  int       // of messages and held
	bytes  int       // of their payloads
	closed bool
	timer  *time.Timer // runs expire while messages wait
	armed  bool
	shown  int // of count, in the metric
}

// New makes an empty queue. Close must be called.
func New(limits Limits, m Metrics) *Queue {
	return &Queue{limits: limits, metrics: m, ready: make(chan struct{}, 1), held: make(map[uint16][]Message)}
}

// Ready receives something when there may be messages to take.
func (q *Queue) Ready() <-chan struct{} { return q.ready }

func (q *Queue) wakeUp() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// Push appends a message. A message that has waited in another queue keeps its age. What is lost is m itself, or the oldest
// messages.
func (q *Queue) Push(m Message) (lost Losses) {
	if m.queuedAt.IsZero() {
		m.queuedAt = time.Now()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch held, barred := q.held[m.Slot]; {
	case q.closed:
		return q.loseLocked(nil, m, Shutdown)
	case len(m.Payload) > q.limits.Bytes: // it would take all others with it
		return q.loseLocked(nil, m, Full)
	case barred:
		q.held[m.Slot] = append(held, m)
	default:
		q.messages.push(m)
		q.wakeUp()
	}
	q.addLocked(1, len(m.Payload))
	return q.changedLocked(nil)
}

// Probe adds one of the node's own probes.
func (q *Queue) Probe(m Message) {
	q.mu.Lock()
	closed := q.closed
	if !closed {
		q.probes = append(q.probes, m)
	}
	q.mu.Unlock()
	if closed {
		m.Finish(0, adapter.ErrAway)
	}
	q.wakeUp()
}

// DropProbes fails the probes that wait: without a connection they would only measure how long there was none.
func (q *Queue) DropProbes() {
	q.mu.Lock()
	probes := q.probes
	q.probes = nil
	q.mu.Unlock()
	for i := range probes {
		probes[i].Finish(0, adapter.ErrAway)
	}
}

// Take moves the probes and the oldest messages into batch: at most maxMessages, and at most maxBytes unless the first
// alone is longer. They are out until Settle, and batch must not be changed before.
func (q *Queue) Take(batch []Message, maxMessages, maxBytes int) []Message {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch = append(batch, q.probes...)
	clear(q.probes)
	q.probes = q.probes[:0]
	for bytes := 0; q.messages.len() > 0 && maxMessages > 0; maxMessages-- {
		size := len(q.messages.first().Payload)
		if bytes > 0 && bytes+size > maxBytes {
			break
		}
		bytes += size
		batch = append(batch, q.messages.pop())
		q.addLocked(-1, -size)
	}
	q.out = batch
	q.changedLocked(nil)
	return batch
}

// Settle records that the outcome of what was taken is known. again are those of the messages that were certainly not
// carried out: they go back to where they were.
func (q *Queue) Settle(again []Message) (lost Losses) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.out = nil
	if q.closed {
		return q.loseAllLocked(again, Shutdown)
	}
	q.messages.unshift(again)
	for i := range again {
		q.addLocked(1, len(again[i].Payload))
	}
	if len(again) > 0 {
		q.wakeUp()
	}
	return q.changedLocked(nil)
}

// Close drops what waits and all that is still to come.
func (q *Queue) Close() {
	q.mu.Lock()
	q.closed = true
	lost := q.loseAllLocked(q.extractLocked(func(uint16) bool { return true }), Shutdown)
	q.changedLocked(nil)
	if q.timer != nil {
		q.timer.Stop()
	}
	q.mu.Unlock()
	lost.Finish()
	q.DropProbes()
}

// addLocked changes the account of what waits.
func (q *Queue) addLocked(messages, bytes int) {
	q.count += messages
	q.bytes += bytes
}

// loseLocked counts a message that is no longer in the queue, and adds it to lost.
func (q *Queue) loseLocked(lost Losses, m Message, why Drop) Losses {
	err := adapter.ErrAway
	if why == Full {
		err = adapter.ErrFull
	}
	if m.Answered == nil {
		q.metrics.Dropped(why)
	}
	return append(lost, loss{m, err})
}

func (q *Queue) loseAllLocked(messages []Message, why Drop) (lost Losses) {
	for _, m := range messages {
		lost = q.loseLocked(lost, m, why)
	}
	return lost
}

// changedLocked removes what is over a bound, shows the number of messages and arms the timer.
func (q *Queue) changedLocked(lost Losses) Losses {
	for q.count > q.limits.Messages || q.bytes > q.limits.Bytes {
		m, ok := q.oldestLocked()
		if !ok {
			break
		}
		lost = q.loseLocked(lost, m, Full)
	}
	q.metrics.Waiting.Add(float64(q.count - q.shown))
	q.shown = q.count
	if q.count > 0 && !q.armed && !q.closed {
		q.armed = true
		if q.timer == nil {
			q.timer = time.AfterFunc(q.limits.Age, q.expire)
		} else {
			q.timer.Reset(q.ageLocked())
		}
	}
	return lost
}

// ageLocked is how long until the oldest message has waited too long.
func (q *Queue) ageLocked() time.Duration {
	if q.messages.len() == 0 {
		return q.limits.Age
	}
	return max(time.Until(q.messages.first().queuedAt.Add(q.limits.Age)), 0)
}

// oldestLocked removes a message: the oldest that is not held back, or else one of those.
func (q *Queue) oldestLocked() (m Message, ok bool) {
	if q.messages.len() > 0 {
		m, ok = q.messages.pop(), true
	} else {
		for slot, held := range q.held {
			if len(held) > 0 {
				m, q.held[slot], ok = held[0], held[1:], true
				break
			}
		}
	}
	if ok {
		q.addLocked(-1, -len(m.Payload))
	}
	return m, ok
}

// expire drops what has waited too long.
func (q *Queue) expire() {
	q.mu.Lock()
	q.armed = false
	now := time.Now()
	old := func(m *Message) bool { return now.Sub(m.queuedAt) >= q.limits.Age }
	var late []Message
	for q.messages.len() > 0 && old(q.messages.first()) {
		late = append(late, q.messages.pop())
	}
	for slot, held := range q.held {
		n := 0
		for n < len(held) && old(&held[n]) {
			n++
		}
		late = append(late, held[:n]...)
		q.held[slot] = held[n:]
	}
	for i := range late {
		q.addLocked(-1, -len(late[i].Payload))
	}
	lost := q.changedLocked(q.loseAllLocked(late, Age))
	q.mu.Unlock()
	lost.Finish()
}
