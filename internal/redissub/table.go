package redissub

import (
	"time"
)

const (
	retryFirst = 100 * time.Millisecond
	retryLast  = 10 * time.Second
)

// Table is what a node wants of one server and what it has.
type Table struct {
	prober

	// Static after construction.
	linger  time.Duration
	sharded bool // the channels are sharded ones
	bySlot  bool // on a cluster, where one command may only name channels of one slot

	rows  rows
	probe Interest // of the prober's probes
	// joins and leaves wait for a command; entries that are no longer queued are skipped.
	joins, leaves []*row
	leaveNext     bool     // joins and leaves take turns
	lingering     []linger // in order of time; stale ones are skipped
	// refusals wait for retryAt. The delay grows while Redis refuses, and is reset when it accepts one of them.
	refusals   []*row
	retryAt    time.Time
	retryDelay time.Duration
	// batch is what is left of the last one, which may be several commands.
	batch []Command
	// outstanding are the commands sent, oldest first, without the channels already confirmed.
	outstanding []Command
	unconfirmed int // channels of outstanding and batch
	lastBatch   int
	// torn are the slots of which Redis has ended subscriptions and accepted none since.
	torn     map[uint16]bool
	attached bool // a connection takes commands
	closed   bool

	version uint64
	ended   []End
}

// New makes an empty table. A row that nothing wants any more stays subscribed for linger. sharded: the channels are
// sharded ones; bySlot: one command may only name channels of one slot.
func New(linger time.Duration, sharded, bySlot bool) *Table {
	return &Table{
		linger: linger, sharded: sharded, bySlot: bySlot, rows: newRows(), torn: make(map[uint16]bool),
	}
}

// Version changes whenever a row that was on goes off without our doing. What was certain in one version is not in the
// next.
func (t *Table) Version() uint64 { return t.version }

// SetProbe changes the channel of this node's probes.
func (t *Table) SetProbe(in Interest, now time.Time) {
	if t.probe.Channel != "" {
		t.Want(t.probe, false, now)
	}
	t.probe = in
	t.Want(in, true, now)
}

// Probe is the channel of this node's probes.
func (t *Table) Probe() Interest { return t.probe }

// Want records whether an interest is wanted at this moment.
func (t *Table) Want(in Interest, wanted bool, now time.Time) {
	r := t.rows.find(in.Key())
	if r == nil {
		if !wanted || t.closed {
			return
		}
		r = &row{Key: in.Key(), kind: in.Kind, slot: in.Slot}
		t.rows.of(r.Pattern)[r.Name] = r
	}
	if wanted {
		r.add(in)
		t.wish(r)
	} else if r.remove(in) {
		t.unwish(r, now)
	}
}

func (t *Table) wish(r *row) {
	r.offAt = time.Time{}
	if r.released {
		return
	}
	r.queued = r.queued && r.state == stateOff
	if r.state == stateOff && !r.refused {
		t.queue(&t.joins, r)
	}
}

func (t *Table) unwish(r *row, now time.Time) {
	switch {
	case r.state == stateOff:
		t.drop(r)
	case r.isOn() && r.offAt.IsZero():
		t.startLinger(r, now)
	}
	t.fail(r)
}

// drop forgets a row that is off and unwanted.
func (t *Table) drop(r *row) {
	r.queued, r.refused = false, false
	delete(t.rows.of(r.Pattern), r.Name)
	t.fail(r)
}

// queue puts r on a list unless it is there. Without a connection there are no lists; Attach makes them.
func (t *Table) queue(list *[]*row, r *row) {
	if t.attached && !r.queued {
		r.queued = true
		*list = append(*list, r)
	}
}

func (t *Table) startLinger(r *row, now time.Time) {
	r.offAt = now.Add(t.linger)
	t.lingering = append(t.lingering, linger{row: r, until: r.offAt})
}

// due begins what was put off until now.
func (t *Table) due(now time.Time) {
	for len(t.lingering) > 0 {
		head := t.lingering[0]
		if !head.stale() {
			if now.Before(head.until) {
				break
			}
			t.queue(&t.leaves, head.row)
		}
		t.lingering[0] = linger{}
		t.lingering = t.lingering[1:]
	}
	if t.retryAt.IsZero() || now.Before(t.retryAt) {
		return
	}
	for _, r := range t.refusals {
		if r.refused && r.wanted && r.state == stateOff {
			r.refused, r.retried = false, true
			t.queue(&t.joins, r)
		}
	}
	t.refusals, t.retryAt = nil, time.Time{}
}

// NextDue is when Next has something that was put off; zero when nothing was.
func (t *Table) NextDue() time.Time {
	next := t.retryAt
	for _, l := range t.lingering {
		if !l.stale() {
			if next.IsZero() || l.until.Before(next) {
				next = l.until
			}
			break
		}
	}
	return next
}

// Wants reports whether channels with messages are wanted in some slots.
func (t *Table) Wants(slots func(slot uint16) bool) bool {
	for r := range t.rows.all() {
		if !r.kind.isMark() && r.wanted && slots(r.slot) {
			return true
		}
	}
	return false
}

// Release gives up all rows that another server is to serve, and returns what they were for. From now on no
// message on their channels has interests: the other server may deliver what was published later.
func (t *Table) Release(served func(slot uint16) bool) []Interest {
	var released []Interest
	for r := range t.rows.all() {
		if r.kind == Probe || served(r.slot) {
			continue
		}
		if r.wanted && !r.kind.isMark() { // each server has fences of its own
			released = append(released, r.interests...)
		}
		r.wanted, r.offAt = false, time.Time{}
		r.released = r.state != stateOff
		t.version++
		t.fail(r)
		switch r.state {
		case stateOff:
			t.drop(r)
		case stateOn:
			t.queue(&t.leaves, r)
		}
	}
	return released
}

// Interests are those that a message on a channel, or for a pattern, is for. The slice must not be changed, and stays as it
// is.
func (t *Table) Interests(pattern bool, name []byte) []Interest {
	r := t.rows.of(pattern)[string(name)]
	if r == nil || r.released {
		return nil
	}
	return r.interests
}

// IsOn reports whether the channel of an interest is subscribed.
func (t *Table) IsOn(in Interest) bool {
	r := t.rows.find(in.Key())
	return r != nil && r.isOn()
}

// Names reports whether a channel of the table suits.
func (t *Table) Names(suits func(name string) bool) bool {
	for r := range t.rows.all() {
		if suits(r.Name) {
			return true
		}
	}
	return false
}

// Close ends every wait, and those to come.
func (t *Table) Close() {
	t.Detach()
	t.closed = true
	for r := range t.rows.all() {
		t.fail(r)
	}
	t.rows = newRows()
}
