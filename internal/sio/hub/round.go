package hub

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/carillon-io/carillon/internal/sio/tally"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/prometheus/client_golang/prometheus"
)

// rounds are the broadcasts of one namespace whose recipients on this node are to acknowledge them.
type rounds struct {
	acks *tally.Acks  // static after construction
	open atomic.Int32 // how many; mostly none, and then no acknowledgement and no disconnect takes the lock

	mu   sync.Mutex // held while a round's reply is called, which keeps the count before the acknowledgements
	byID map[uint64]*round
}

// round is one of them. The lock of rounds guards what changes.
type round struct {
	// Static after construction.
	id    uint64
	reply func(adapter.Reply) // must not wait
	over  chan struct{}       // closed when no answer is waited for any more

	waiting map[*Member]struct{}
	counted bool          // Count has been replied
	late    bool          // some have not answered in time; static once over is closed
	early   []packet.Args // acknowledged before that
	timer   *time.Timer
}

// ask sends a broadcast to the members of this node and replies with the number of recipients, then with what each of
// them answers within timeout.
func (h *Hub) ask(b *adapter.Broadcast, timeout time.Duration, reply func(adapter.Reply)) *round {
	list := h.selected(b.Target)
	defer done(list)
	r := &round{
		id: h.NextID(), reply: reply, over: make(chan struct{}), waiting: make(map[*Member]struct{}, len(*list)),
	}
	for _, m := range *list {
		r.waiting[m] = struct{}{}
	}
	h.rounds.begin(r)
	sent := 0
	if len(*list) > 0 {
		message := h.message(b)
		message.ID, message.HasID = r.id, true
		for _, m := range *list {
			if m.Value().Deliver(b.Volatile, &message) {
				sent++
			} else {
				h.rounds.skip(r, m)
			}
		}
	}
	h.tally.Deliveries.Add(float64(sent))
	h.rounds.count(r, timeout)
	return r
}

// begin makes acknowledgements find the round: they may come while it is still being sent.
func (rs *rounds) begin(r *round) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.byID == nil {
		rs.byID = make(map[uint64]*round)
	}
	rs.byID[r.id] = r
	rs.open.Add(1)
}

// skip takes out a member that was not sent to.
func (rs *rounds) skip(r *round, m *Member) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	delete(r.waiting, m)
}

// count replies with the number of recipients, and starts the time they have.
func (rs *rounds) count(r *round, timeout time.Duration) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r.counted = true
	r.reply(adapter.Count(len(r.waiting) + len(r.early)))
	for _, args := range r.early {
		r.reply(adapter.Acked{Args: args})
	}
	r.early = nil
	r.timer = time.AfterFunc(timeout, func() { rs.expire(r, rs.acks.Timeout) })
	rs.settleLocked(r)
}

// Acknowledge records what a member answers to the broadcast that was sent with the id; false when no round waits for
// it.
func (h *Hub) Acknowledge(m *Member, id uint64, args packet.Args) bool {
	return h.rounds.acknowledge(id, m, args)
}

func (rs *rounds) acknowledge(id uint64, m *Member, args packet.Args) bool {
	if rs.open.Load() == 0 {
		return false
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := rs.byID[id]
	if r == nil {
		return false
	}
	if _, ok := r.waiting[m]; !ok {
		return false
	}
	delete(r.waiting, m)
	rs.acks.Answered.Inc()
	if !r.counted {
		r.early = append(r.early, args)
		return true
	}
	r.reply(adapter.Acked{Args: args})
	rs.settleLocked(r)
	return true
}

// forget stops waiting for a member that has gone.
func (rs *rounds) forget(m *Member) {
	if rs.open.Load() == 0 {
		return
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.byID {
		if _, ok := r.waiting[m]; ok {
			delete(r.waiting, m)
			rs.acks.Disconnected.Inc()
			rs.settleLocked(r)
		}
	}
}

// expire stops waiting for the members that have not answered, and counts them.
func (rs *rounds) expire(r *round, count prometheus.Counter) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if len(r.waiting) == 0 {
		return // settled, unless it still has to be counted
	}
	r.late = true
	count.Add(float64(len(r.waiting)))
	clear(r.waiting)
	rs.settleLocked(r)
}

// settleLocked ends a round that waits for no answer.
func (rs *rounds) settleLocked(r *round) {
	if !r.counted || len(r.waiting) > 0 || rs.byID[r.id] != r {
		return
	}
	delete(rs.byID, r.id)
	rs.open.Add(-1)
	r.timer.Stop()
	close(r.over)
}
