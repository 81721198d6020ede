package upstream

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
)

// What a batch holds at most. A single entry of any size fits.
const (
	batchEntries = 512
	batchBytes   = 1 << 20
)

// partition is one stream of a route, and the queue before it.
type partition struct {
	// Static after construction.
	route *route
	index int
	tag   string
	keys  []string // stream, live set

	mu sync.Mutex
	// mu guards the following.
	queue     []*entry // in the order of arrival
	withdrawn int      // settled entries in it
	flight    []*entry // the batch whose outcome is not known yet
	pumping   bool     // a goroutine stores batches
	timer     *time.Timer
	armed     time.Time // when the timer fires; zero: it does not

	// Owned by the goroutine that stores batches.
	node   *node  // whose batches these are
	number uint64 // of its last batch
}

func newPartition(r *route, index int) *partition {
	t := tag(r.name, index)
	return &partition{route: r, index: index, tag: t, keys: []string{r.up.keys.stream(t), r.up.keys.live(t)}}
}

// put queues an entry.
func (p *partition) put(e *entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = append(p.queue, e)
	if e.kind == kindEvent {
		e.stay.queued++
	}
	p.armLocked(e.deadline)
	if !p.pumping && p.route.up.startPump(p) {
		p.pumping = true
	}
}

// armLocked makes sure that expire runs at a deadline.
func (p *partition) armLocked(deadline time.Time) {
	if deadline.IsZero() || !p.armed.IsZero() && !deadline.Before(p.armed) {
		return
	}
	p.armed = deadline
	if p.timer == nil {
		p.timer = time.AfterFunc(time.Until(deadline), p.expire)
		return
	}
	p.timer.Reset(time.Until(deadline))
}

// expirePace is the least time between two looks at all that waits for late events.
const expirePace = 10 * time.Millisecond

// expire settles what Redis has not confirmed before its deadline: events, of which those that are part of a batch may be
// stored all the same and the others never are, and the stays of sockets that have left without Redis having seen any of it.
func (p *partition) expire() {
	now := time.Now()
	p.mu.Lock()
	p.armed = time.Time{}
	unsure, next := overdue(p.flight, now, time.Time{})
	dropped, next := overdue(p.queue, now, next)
	for _, e := range dropped {
		e.stay.queued--
	}
	gone, next := unseen(p.queue, now, next)
	if len(dropped)+len(gone) > 0 {
		p.compactLocked()
	}
	if soonest := now.Add(expirePace); !next.IsZero() && next.Before(soonest) {
		next = soonest
	}
	p.armLocked(next)
	p.mu.Unlock()
	for _, e := range unsure {
		p.tell(e, "", ErrUnavailable)
	}
	for _, e := range dropped {
		p.tell(e, "", ErrUnavailable)
		e.stay.socket.free(e)
	}
	for _, e := range gone {
		e.stay.socket.free(e)
	}
}

// overdue marks events whose deadline has passed as settled and returns them, and the next deadline of the others.
func overdue(entries []*entry, now, next time.Time) ([]*entry, time.Time) {
	var late []*entry
	for _, e := range entries {
		switch {
		case e.settled || e.kind != kindEvent:
		case !e.deadline.After(now):
			e.settled = true
			late = append(late, e)
		case next.IsZero() || e.deadline.Before(next):
			next = e.deadline
		}
	}
	return late, next
}

// unseen marks the entries of stays as settled whose end is overdue and of which no batch has held anything, and returns them,
// and the next deadline of the others. Where a batch has, an end waits for Redis, however long.
func unseen(entries []*entry, now, next time.Time) ([]*entry, time.Time) {
	var gone []*entry
	for _, e := range entries {
		st := e.stay
		switch {
		case e.settled || e.kind == kindEvent || e.deadline.IsZero():
		case st.seq > 0:
			e.deadline = time.Time{}
		case st.queued > 0: // looked at again when these are overdue
		case e.deadline.After(now):
			if next.IsZero() || e.deadline.Before(next) {
				next = e.deadline
			}
		default:
			e.settled = true
			gone = append(gone, e)
			if first := st.first; first != nil && !first.settled {
				first.settled, first.rest = true, nil
				gone = append(gone, first)
			}
		}
	}
	return gone, next
}

// withdraw ends the stay of a socket of which Redis has not seen anything: there is nothing to end in the stream, and
// while Redis is away clients that come and go leave nothing behind. A connected entry is kept for as long as an event
// would be.
func (p *partition) withdraw(st *stay, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := st.first
	switch {
	case st.seq > 0 || st.queued > 0:
		return false
	case e == nil:
		return true
	case now.Sub(e.arrived) < p.route.config.Load().Deadline:
		return false
	}
	e.settled, e.rest = true, nil
	e.stay.socket.free(e)
	if p.withdrawn++; p.withdrawn > len(p.queue)/2 {
		p.compactLocked()
	}
	return true
}

// compactLocked takes settled entries out of the queue.
func (p *partition) compactLocked() {
	p.queue = slices.DeleteFunc(p.queue, func(e *entry) bool { return e.settled })
	p.withdrawn = 0
}

// tell reports what became of an entry that has just been settled.
func (p *partition) tell(e *entry, id string, err error) {
	if e.kind == kindEvent {
		p.route.metrics.count(err)
	}
	if e.stored != nil {
		e.stored(id, err)
	}
}

// pace is the least time between the beginnings of two batches. A batch costs node and Redis as much as ten entries in it
// do, so at medium rates it pays to wait for a few more; an entry that comes alone still leaves at once.
const pace = time.Millisecond

// pump stores batches until the queue is empty.
func (p *partition) pump(ctx context.Context) {
	for {
		began := time.Now()
		batch := p.take()
		if batch == nil || !p.store(ctx, batch) {
			return
		}
		time.Sleep(pace - time.Since(began)) // not at all where that is over
	}
}

// take makes the next batch out of the queue, and numbers its entries; nil when there is none, and the goroutine is to end.
func (p *partition) take() []*entry {
	var lost []*entry
	bytes, n := 0, 0
	p.mu.Lock()
	for _, e := range p.queue {
		st := e.stay
		if e.settled {
			n++
			continue
		}
		if st.socket.node.gone() {
			e.settled = true
			lost = append(lost, e)
			n++
			continue
		}
		if len(p.flight) > 0 && (len(p.flight) == batchEntries || bytes+e.held > batchBytes || p.flight[0].stay.socket.node != st.socket.node) {
			break
		}
		n++
		bytes += e.held
		if e.kind == kindEvent {
			st.queued--
		}
		if e.counts() {
			st.seq++
		}
		e.seq = st.seq
		p.flight = append(p.flight, e)
	}
	clear(p.queue[:n])
	if p.queue = p.queue[n:]; len(p.queue) == 0 {
		p.queue = nil
	}
	batch := p.flight
	p.pumping = len(batch) > 0 // then nothing is left in the queue
	p.mu.Unlock()
	for _, e := range lost {
		p.tell(e, "", ErrLost)
		e.stay.socket.free(e)
	}
	return batch
}

// store has Redis store a batch, for as long as that takes. It returns false when ctx ended first.
func (p *partition) store(ctx context.Context, batch []*entry) bool {
	up := p.route.up
	if n := batch[0].stay.socket.node; n != p.node {
		p.node, p.number = n, 0
		n.has(p)
	}
	select {
	case <-p.node.registered: // else no survivor would find what it leaves behind
	case <-ctx.Done():
		return false
	}
	p.number++
	began := time.Now()
	var wait redisconn.Backoff
	for {
		a, err := up.append(ctx, p, batch)
		if err == nil {
			up.answered(p.tag)
			p.route.metrics.seconds.Observe(time.Since(began).Seconds())
			p.finish(batch, a)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		up.failed(p.tag, err)
		wait.Sleep(ctx)
	}
}

// finish settles a batch by the script's answer.
func (p *partition) finish(batch []*entry, a answer) {
	switch {
	case a.lost:
		p.route.up.lose(p.node)
		p.settle(batch, func(int) (string, error) { return "", ErrLost })
	case a.full:
		p.number-- // nothing was stored
		p.refuse(batch, a.room)
	case len(a.ids) != len(batch):
		p.route.up.log.Error("the append script answers for another number of entries", zap.Int("entries", len(batch)), zap.Int("ids", len(a.ids)))
		p.settle(batch, func(int) (string, error) { return "", ErrUnavailable })
	default:
		p.settle(batch, func(i int) (string, error) {
			if a.ids[i] != "-" {
				return a.ids[i], nil
			}
			switch batch[i].kind {
			case kindEvent: // another node has taken the socket
				batch[i].stay.socket.connected().SendAway()
				return "", ErrLost
			case kindClaim:
				return "", ErrGone
			default:
				return "", nil
			}
		})
	}
}

// settle ends a batch; outcome says what became of each entry.
func (p *partition) settle(batch []*entry, outcome func(i int) (string, error)) {
	p.mu.Lock()
	told := make([]bool, len(batch))
	for i, e := range batch {
		told[i] = e.settled
		e.settled = true
	}
	p.flight = nil
	p.mu.Unlock()
	for i, e := range batch {
		if !told[i] {
			id, err := outcome(i)
			p.tell(e, id, err)
		}
		e.stay.socket.free(e)
	}
}

// refuse refuses the events of a batch beyond the first room ones, and puts the rest of the batch back: nothing of it was
// stored, so its numbers are free again.
func (p *partition) refuse(batch []*entry, room int) {
	var refused, kept []*entry
	p.mu.Lock()
	for _, e := range batch {
		if e.counts() {
			e.stay.seq--
		}
		switch {
		case e.settled:
			refused = append(refused, e)
		case e.kind != kindEvent:
			kept = append(kept, e)
		case room > 0:
			room--
			e.stay.queued++
			kept = append(kept, e)
		default:
			refused = append(refused, e)
		}
	}
	told := make([]bool, len(refused))
	for i, e := range refused {
		told[i] = e.settled
		e.settled = true
	}
	p.queue = append(kept, p.queue...)
	p.flight = nil
	p.mu.Unlock()
	for i, e := range refused {
		if !told[i] {
			p.tell(e, "", ErrOverloaded)
		}
		e.stay.socket.free(e)
	}
}
