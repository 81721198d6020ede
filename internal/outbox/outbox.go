// Package outbox holds what waits for one receiver: a queue from which all is taken at once, in order, and a count of the bytes
// that wait or are being written. It has no lock and knows nothing of what it holds.
package outbox

// keep is the longest queue kept for reuse while nothing waits.
const keep = 32

// Outbox is ready for use when zero. Its owner calls it one at a time.
//
// An item waits until Take hands it out. Its bytes then fly until Land says that the batch was written, or Drop that nothing
// counts any more. One batch flies at a time.
type Outbox[T comparable] struct {
	waiting []T
	spare   []T // empty; kept for reuse
	queued  int // bytes that wait
	flying  int // bytes that were taken and have not landed
}

// Add puts items behind those that wait. They count as so many bytes together. The slice is not kept.
func (o *Outbox[T]) Add(bytes int, items ...T) {
	o.waiting = append(o.waiting, items...)
	o.queued += bytes
}

// AddOnce adds an item that counts nothing, and reports whether it did: not behind its like.
func (o *Outbox[T]) AddOnce(item T) bool {
	if n := len(o.waiting); n > 0 && o.waiting[n-1] == item {
		return false
	}
	o.waiting = append(o.waiting, item)
	return true
}

// Empty reports whether there is nothing to take.
func (o *Outbox[T]) Empty() bool { return len(o.waiting) == 0 }

// Bytes counts the queued pieces and those that were taken and are not yet landed.
func (o *Outbox[T]) Bytes() int { return o.queued + o.flying }

// Over reports whether so many bytes more would exceed a limit. They never do where nothing waits or flies: what is larger than the
// limit could not be sent else.
func (o *Outbox[T]) Over(limit, bytes int) bool {
	held := o.Bytes()
	return held > 0 && held+bytes > limit
}

// Take removes all items, which are the caller's until Land, and returns their bytes as well.
func (o *Outbox[T]) Take() (batch []T, bytes int) {
	batch, bytes = o.waiting, o.queued
	o.waiting, o.spare = o.spare, nil
	o.queued, o.flying = 0, bytes
	return batch, bytes
}

// Land ends the flight of a batch, whose slice may be used again, and returns the bytes that no longer count.
func (o *Outbox[T]) Land(batch []T) (bytes int) {
	bytes, o.flying = o.flying, 0
	if cap(batch) <= keep && o.spare == nil {
		clear(batch)
		o.spare = batch[:0]
	}
	return bytes
}

// Drop empties the outbox for good. It returns the items that waited, and the bytes that no longer count: those of a batch that
// flies among them, although it may still be being written.
func (o *Outbox[T]) Drop() (waiting []T, bytes int) {
	waiting, bytes = o.waiting, o.Bytes()
	*o = Outbox[T]{}
	return waiting, bytes
}
