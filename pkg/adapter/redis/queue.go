package redis

import (
	"slices"
	"sync"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// message is one PUBLISH, or SPUBLISH, to be.
type message struct {
	channel  string
	slot     uint16 // of a sharded channel
	sharded  bool
	payload  []byte
	queuedAt time.Time
	done     func(error) // may be nil
	probe    bool        // our own, not counted as traffic
}

// right is what the message needs to be published.
func (m message) right() refusal {
	if m.probe {
		return refusedProbe
	}
	return refusedPublish
}

func (m message) finish(err error) {
	if m.done != nil {
		m.done(err)
	}
}

// queue holds messages until a publisher takes them. It is bounded by number, bytes and age; over a bound the oldest
// go first, whether or not anybody takes messages at the time.
type queue struct {
	// Static after construction.
	limits  Queue
	metrics *metrics
	// lane is who takes messages of this slot; nil: nobody at the time.
	lane func(slot uint16) *lane

	mu sync.Mutex
	// mu guards the following.
	messages []message // oldest first
	bytes    int
	closed   bool
	timer    *time.Timer // runs expire while messages wait
	armed    bool
	shown    int // of messages, in the metric
	// flying is who has taken messages of a slot, and does not yet know what became of them. Nobody else may take
	// such messages meanwhile, or the later ones could arrive first when the slot has just moved to another master.
	flying map[uint16]*lane
}

// lane is a taker of messages.
type lane struct {
	// ready tells that there may be something; never closed.
	ready chan struct{}
}

func newLane() *lane { return &lane{ready: make(chan struct{}, 1)} }

// wakeUp may be called on nil.
func (l *lane) wakeUp() {
	if l == nil {
		return
	}
	select {
	case l.ready <- struct{}{}:
	default:
	}
}

// newQueue makes a queue whose messages of a slot are for the lane that the function tells.
func newQueue(limits Queue, m *metrics, to func(slot uint16) *lane) *queue {
	return &queue{limits: limits, metrics: m, lane: to, flying: make(map[uint16]*lane)}
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
	q.lane(m.slot).wakeUp()
}

// take removes the oldest messages for l: at most maxMessages, and at most maxBytes unless the first alone is longer.
// They are in the air until landed or putBack is told of all of them.
func (q *queue) take(l *lane, maxMessages, maxBytes int) []message {
	q.mu.Lock()
	defer q.mu.Unlock()
	taken := make([]message, 0, min(len(q.messages), maxMessages))
	kept, seen, bytes := 0, 0, 0
	for ; seen < len(q.messages) && len(taken) < maxMessages; seen++ {
		m := q.messages[seen]
		if other := q.flying[m.slot]; q.lane(m.slot) != l || other != nil && other != l {
			q.messages[kept] = m
			kept++
			continue
		}
		if len(taken) > 0 && bytes+len(m.payload) > maxBytes {
			break
		}
		bytes += len(m.payload)
		taken = append(taken, m)
		q.flying[m.slot] = l
	}
	// What was passed over moves up to what was not looked at.
	copy(q.messages[seen-kept:], q.messages[:kept])
	clear(q.messages[:seen-kept])
	q.messages = q.messages[seen-kept:]
	q.bytes -= bytes
	q.changedLocked()
	return taken
}

// landed tells that the outcome of messages that were taken is known.
func (q *queue) landed(l *lane, taken []message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.landedLocked(l, taken)
}

func (q *queue) landedLocked(l *lane, taken []message) {
	for _, m := range taken {
		delete(q.flying, m.slot)
		if to := q.lane(m.slot); to != l {
			to.wakeUp()
		}
	}
}

// putBack returns messages that were taken and certainly not carried out to where they were.
func (q *queue) putBack(l *lane, taken []message) {
	q.mu.Lock()
	q.landedLocked(l, taken)
	q.messages = append(taken[:len(taken):len(taken)], q.messages...)
	// Those that others take may be older.
	slices.SortStableFunc(q.messages, func(a, b message) int { return a.queuedAt.Compare(b.queuedAt) })
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
	q.metrics.queued.Add(float64(len(q.messages) - q.shown))
	q.shown = len(q.messages)
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
