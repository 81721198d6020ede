package redis

import (
	"sync"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// message is one PUBLISH, or SPUBLISH, to be.
type message struct {
	channel  string
	slot     uint16 // of a sharded channel; else 0
	payload  []byte
	queuedAt time.Time
	done     func(error) // may be nil
	// answered is set for our own probes, which are not counted as traffic: it is called instead of done.
	answered func(receivers int64, err error)
}

func (m *message) finish(receivers int64, err error) {
	switch {
	case m.answered != nil:
		m.answered(receivers, err)
	case m.done != nil:
		m.done(err)
	}
}

// dropped are messages that have to go, to be finished without locks.
type dropped struct {
	messages []message
	reason   publishDrop
	err      error
}

// queue holds the messages for one server until its publisher takes them. It is bounded by number, bytes and age; over a
// bound the oldest go first, whether or not anything takes messages at the time.
type queue struct {
	// Static after construction.
	limits  Queue
	metrics *metrics
	ready   chan struct{} // there may be something to take; never closed

	mu sync.Mutex
	// mu guards the following.
	messages fifo
	// probes have a lane of their own: a fence must not wait for ten thousand messages. They are not counted.
	probes []message
	// held are the messages of slots that have moved here while earlier ones are still at another server, in their order.
	held   map[uint16][]message
	out    []message // taken, with an outcome that is not known yet
	count  int       // of messages and held
	bytes  int
	closed bool
	timer  *time.Timer // runs expire while messages wait
	armed  bool
	shown  int // of count, in the metric
}

func newQueue(limits Queue, m *metrics) *queue {
	return &queue{limits: limits, metrics: m, ready: make(chan struct{}, 1), held: make(map[uint16][]message)}
}

func (q *queue) wakeUp() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// push adds m. The caller drops what it returns: the oldest over a bound, or m itself.
func (q *queue) push(m message) dropped {
	if len(m.payload) > q.limits.Bytes {
		return dropped{[]message{m}, dropFull, adapter.ErrFull}
	}
	m.queuedAt = time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.addLocked(m)
}

func (q *queue) addLocked(m message) dropped {
	if q.closed {
		return dropped{[]message{m}, dropShutdown, adapter.ErrAway}
	}
	if held, barred := q.held[m.slot]; barred {
		q.held[m.slot] = append(held, m)
	} else {
		q.messages.push(m)
		q.wakeUp()
	}
	q.count++
	q.bytes += len(m.payload)
	return q.changedLocked()
}

// probe adds one of our own probes.
func (q *queue) probe(m message) {
	q.mu.Lock()
	closed := q.closed
	if !closed {
		q.probes = append(q.probes, m)
	}
	q.mu.Unlock()
	if closed {
		m.finish(0, adapter.ErrAway)
	}
	q.wakeUp()
}

// dropProbes fails the probes that wait: without a connection they would only tell how long there was none.
func (q *queue) dropProbes() {
	q.mu.Lock()
	probes := q.probes
	q.probes = nil
	q.mu.Unlock()
	for i := range probes {
		probes[i].finish(0, adapter.ErrAway)
	}
}

// take moves the probes and the oldest messages into batch: at most maxMessages, and at most maxBytes unless the first
// alone is longer. They are out until settled.
func (q *queue) take(batch []message, maxMessages, maxBytes int) []message {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch = append(batch, q.probes...)
	clear(q.probes)
	q.probes = q.probes[:0]
	for bytes := 0; q.messages.len() > 0 && maxMessages > 0; maxMessages-- {
		size := len(q.messages.first().payload)
		if bytes > 0 && bytes+size > maxBytes {
			break
		}
		bytes += size
		batch = append(batch, q.messages.pop())
		q.count--
		q.bytes -= size
	}
	q.out = batch
	q.changedLocked()
	return batch
}

// settle tells that the outcome of what was taken is known: again are those of the messages that were certainly not
// carried out, which go back to where they were. The caller drops what it returns.
func (q *queue) settle(again []message) dropped {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.out = nil
	if q.closed {
		return dropped{append([]message(nil), again...), dropShutdown, adapter.ErrAway}
	}
	q.messages.unshift(again)
	for _, m := range again {
		q.count++
		q.bytes += len(m.payload)
	}
	if len(again) > 0 {
		q.wakeUp()
	}
	return q.changedLocked()
}

// extract removes and returns the messages of slots that another server is to serve, in their order, and tells of which
// of these slots a message is out.
func (q *queue) extract(moved func(slot uint16) bool) (waiting []message, out map[uint16]bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting = q.messages.extract(func(m *message) bool { return moved(m.slot) })
	for slot, held := range q.held {
		if moved(slot) {
			waiting = append(waiting, held...)
			delete(q.held, slot)
		}
	}
	for i := range waiting {
		q.count--
		q.bytes -= len(waiting[i].payload)
	}
	out = make(map[uint16]bool)
	for i := range q.out {
		if m := &q.out[i]; m.answered == nil && moved(m.slot) {
			out[m.slot] = true
		}
	}
	q.changedLocked()
	return waiting, out
}

// hold bars a slot: its messages wait until release.
func (q *queue) hold(slot uint16) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, barred := q.held[slot]; !barred {
		q.held[slot] = nil
	}
}

// release lets the messages of a slot go, those that come back from another server first. The caller drops what it
// returns.
func (q *queue) release(slot uint16, back []message) dropped {
	q.mu.Lock()
	defer q.mu.Unlock()
	held := q.held[slot]
	delete(q.held, slot)
	if q.closed {
		return dropped{append([]message(nil), back...), dropShutdown, adapter.ErrAway}
	}
	for _, m := range back {
		q.count++
		q.bytes += len(m.payload)
		q.messages.push(m)
	}
	for _, m := range held {
		q.messages.push(m)
	}
	q.wakeUp()
	return q.changedLocked()
}

// add appends a message that waited at another server. The caller drops what it returns.
func (q *queue) add(m message) dropped {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.addLocked(m)
}

// close drops what waits and all that is still to come.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	rest := q.messages.extract(func(*message) bool { return true })
	for slot, held := range q.held {
		rest = append(rest, held...)
		delete(q.held, slot)
	}
	q.count, q.bytes = 0, 0
	q.changedLocked()
	if q.timer != nil {
		q.timer.Stop()
	}
	q.mu.Unlock()
	q.drop(dropped{rest, dropShutdown, adapter.ErrAway})
	q.dropProbes()
}

// changedLocked removes what is over a bound, shows the number of messages and arms the timer.
func (q *queue) changedLocked() dropped {
	over := dropped{reason: dropFull, err: adapter.ErrFull}
	for q.count > q.limits.Messages || q.bytes > q.limits.Bytes {
		m, ok := q.oldestLocked()
		if !ok {
			break
		}
		over.messages = append(over.messages, m)
	}
	q.metrics.queued.Add(float64(q.count - q.shown))
	q.shown = q.count
	if q.count > 0 && !q.armed && !q.closed {
		q.armed = true
		if q.timer == nil {
			q.timer = time.AfterFunc(q.limits.Age, q.expire)
		} else {
			q.timer.Reset(q.ageLocked())
		}
	}
	return over
}

// ageLocked is how long until the oldest message has waited too long.
func (q *queue) ageLocked() time.Duration {
	if q.messages.len() == 0 {
		return q.limits.Age
	}
	return max(time.Until(q.messages.first().queuedAt.Add(q.limits.Age)), 0)
}

// oldestLocked removes a message: the oldest that is not held, or else one of those.
func (q *queue) oldestLocked() (message, bool) {
	var m message
	if q.messages.len() > 0 {
		m = q.messages.pop()
	} else {
		found := false
		for slot, held := range q.held {
			if len(held) > 0 {
				m, q.held[slot], found = held[0], held[1:], true
				break
			}
		}
		if !found {
			return message{}, false
		}
	}
	q.count--
	q.bytes -= len(m.payload)
	return m, true
}

// expire drops what has waited too long.
func (q *queue) expire() {
	q.mu.Lock()
	q.armed = false
	now := time.Now()
	old := func(m *message) bool { return now.Sub(m.queuedAt) >= q.limits.Age }
	var late []message
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
		q.count--
		q.bytes -= len(late[i].payload)
	}
	q.changedLocked()
	q.mu.Unlock()
	q.drop(dropped{late, dropAge, adapter.ErrAway})
}

// drop counts and finishes messages. The caller holds no lock.
func (q *queue) drop(d dropped) {
	for i := range d.messages {
		if d.messages[i].answered == nil {
			q.metrics.publishDropped[d.reason].Inc()
		}
		d.messages[i].finish(0, d.err)
	}
}

// fifo is a list of messages, oldest first, that does not allocate while its length stays about the same.
type fifo struct {
	items []message
	head  int
}

func (f *fifo) len() int        { return len(f.items) - f.head }
func (f *fifo) first() *message { return &f.items[f.head] }

func (f *fifo) push(m message) {
	if len(f.items) == cap(f.items) && f.head > len(f.items)/2 {
		n := copy(f.items, f.items[f.head:])
		clear(f.items[n:])
		f.items, f.head = f.items[:n], 0
	}
	f.items = append(f.items, m)
}

func (f *fifo) pop() message {
	m := f.items[f.head]
	f.items[f.head] = message{}
	if f.head++; f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
	}
	return m
}

// unshift puts messages in front.
func (f *fifo) unshift(messages []message) {
	if len(messages) == 0 {
		return
	}
	f.items = append(append(make([]message, 0, len(messages)+f.len()), messages...), f.items[f.head:]...)
	f.head = 0
}

// extract removes and returns those that match.
func (f *fifo) extract(match func(*message) bool) []message {
	var out []message
	kept := f.items[:0]
	for _, m := range f.items[f.head:] {
		if match(&m) {
			out = append(out, m)
		} else {
			kept = append(kept, m)
		}
	}
	clear(f.items[len(kept):])
	f.items, f.head = kept, 0
	return out
}
