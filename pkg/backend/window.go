package backend

import "time"

// perSocket is how many entries of one socket are in memory; further ones stay in Redis until it is their turn, so that
// one busy socket does not fill the window of its partition.
const perSocket = 8

// maxHeld bounds the entries of a partition of which only the id is in memory.
const maxHeld = 50_000

// item is an entry that is to be handled.
type item struct {
	id    string
	entry *Entry // nil while it is in Redis only
	fault error  // why it is malformed
	// attempts is how often it was attempted, as it stands in Redis. The first attempt after reading is entered there by
	// Redis itself; others are before they begin, so that an entry that ends its process is known by it.
	attempts int
	counted  bool // the coming attempt is among them
	// suspect: it was pending when the partition was taken over, and attempted more than once.
	suspect bool
}

// queue is what waits for one socket, in order. It is in the partition's map as long as it has items.
type queue struct {
	socket   string
	items    []item
	inMemory int  // items with an entry
	busy     bool // a goroutine works on it, is about to, or will once the lease is renewed
	retry    *time.Timer
	failing  bool // waits for the timer
}

// window is the entries of a partition that are read and not acknowledged, by socket. It is not safe for concurrent use.
type window struct {
	queues map[string]*queue
	count  int // entries in memory, those included whose acknowledgement is under way
	bytes  int
	held   int // entries of which only the id is in memory
	maxima struct{ count, bytes int }
}

func newWindow(count, bytes int) *window {
	w := &window{queues: make(map[string]*queue)}
	w.maxima.count, w.maxima.bytes = count, bytes
	return w
}

// room is how much may be read now; a count of 0: nothing.
func (w *window) room() (count, bytes int) {
	count, bytes = w.maxima.count-w.count, w.maxima.bytes-w.bytes
	if count <= 0 || bytes <= 0 || w.held >= maxHeld {
		return 0, 0
	}
	return min(count, maxHeld-w.held), bytes
}

// add appends an item to the queue of its socket, and returns the queue.
func (w *window) add(it item) *queue {
	q := w.queues[it.entry.Socket]
	if q == nil {
		q = &queue{socket: it.entry.Socket}
		w.queues[q.socket] = q
	}
	if q.failing || len(q.items) >= perSocket {
		it.entry = nil
		w.held++
	} else {
		q.inMemory++
		w.count++
		w.bytes += it.entry.size
	}
	q.items = append(q.items, it)
	return q
}

// park leaves all entries of a queue to Redis, while its first one waits for another attempt.
func (w *window) park(q *queue) {
	for i := range q.items {
		if it := &q.items[i]; it.entry != nil {
			w.forget(it.entry.size)
			it.entry = nil
			w.held++
		}
	}
	q.inMemory = 0
}

// unpark puts an entry in memory again.
func (w *window) unpark(q *queue, it *item, e *Entry) {
	if it.entry != nil {
		w.forget(it.entry.size)
	} else {
		w.held--
		q.inMemory++
	}
	it.entry = e
	w.count++
	w.bytes += e.size
}

// pop removes the first item, whose entry is in memory and counts until forget.
func (w *window) pop(q *queue) {
	q.items[0] = item{}
	q.items = q.items[1:]
	q.inMemory--
}

// forget ends what an entry takes.
func (w *window) forget(size int) {
	w.count--
	w.bytes -= size
}
