package redis

import (
	"fmt"
	"slices"
	"time"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/pkg/adapter"
)

type state uint8

const (
	stateOff state = iota
	stateSubscribing
	stateOn
	stateUnsubscribing
)

// row is one channel or pattern of a server.
//
//	off ──SUBSCRIBE──▶ subscribing ──confirmed──▶ on ──linger, UNSUBSCRIBE──▶ unsubscribing ──confirmed──▶ off
//
// While a command is outstanding a changed wish only changes wanted; the confirmation acts on it. So a channel has at
// most one command under way, and confirmations need no numbers.
type row struct {
	rowKey

	kind kind // the first of its interests'
	slot uint16
	// interests are those that want the channel, or, when none does, those that did last. The slice is never changed: it
	// is handed out without the lock.
	interests []interest
	wanted    bool
	state     state
	queued    bool      // in joins or leaves
	offAt     time.Time // when it is unsubscribed; zero unless it lingers
	refused   bool      // it waits for retryAt
	retried   bool      // it did, and was sent again
	denied    bool      // this user may not subscribe to it
	waiters   map[*waiter]struct{}
}

// linger is a row that nothing wants, and when it is unsubscribed.
type linger struct {
	row   *row
	until time.Time
}

func (l linger) stale() bool { return l.row.state != stateOn || !l.row.offAt.Equal(l.until) }

const (
	retryFirst = 100 * time.Millisecond
	retryLast  = 10 * time.Second
)

// table knows which channels of one server this node wants and which it has. It is a pure state machine: it neither reads
// clocks nor talks to Redis, and is not safe for concurrent use.
type table struct {
	// Static after construction.
	linger  time.Duration
	sharded bool // the channels are sharded ones
	bySlot  bool // on a cluster, where one command may only name channels of one slot

	rows map[rowKey]*row
	// joins and leaves wait for a command; entries that are no longer queued are skipped.
	joins, leaves []*row
	leaveNext     bool     // joins and leaves take turns
	lingering     []linger // in order of time; entries that no longer say what the row says are skipped
	// refusals wait for retryAt. The delay grows while Redis refuses, and is reset when it accepts one of them.
	refusals   []*row
	retryAt    time.Time
	retryDelay time.Duration
	// batch is what is left of the last one, which may be several commands.
	batch []command
	// outstanding are the commands sent, oldest first, without the channels already confirmed.
	outstanding []command
	unconfirmed int // channels of outstanding and batch
	lastBatch   int
	attached    bool // a connection takes commands
	closed      bool

	// version changes whenever a row that was on goes off without our doing. What was certain in one version is not in
	// the next.
	version  uint64
	toFence  []*waiter // all their rows are on; a fence is the last thing they wait for
	resolved []resolution
}

func newTable(linger time.Duration, sharded, bySlot bool) *table {
	return &table{linger: linger, sharded: sharded, bySlot: bySlot, rows: make(map[rowKey]*row)}
}

// want records whether an interest is wanted at this moment.
func (t *table) want(in interest, wanted bool, now time.Time) {
	r := t.rows[in.key()]
	if r == nil {
		if !wanted || t.closed {
			return
		}
		r = &row{rowKey: in.key(), kind: in.kind, slot: in.slot}
		t.rows[r.rowKey] = r
	}
	if wanted {
		r.add(in)
		t.wish(r)
	} else if r.remove(in) {
		t.unwish(r, now)
	}
}

// add makes an interest one of those that want the row.
func (r *row) add(in interest) {
	if !r.wanted {
		r.wanted, r.kind, r.interests = true, in.kind, []interest{in}
	} else if !slices.Contains(r.interests, in) {
		r.interests = append(slices.Clone(r.interests), in)
	}
}

// remove ends an interest, and reports whether the row is unwanted.
func (r *row) remove(in interest) bool {
	switch {
	case !r.wanted:
		return true
	case len(r.interests) > 1:
		r.interests = slices.DeleteFunc(slices.Clone(r.interests), func(other interest) bool { return other == in })
		return false
	}
	r.wanted = !slices.Contains(r.interests, in)
	return !r.wanted
}

func (t *table) wish(r *row) {
	r.offAt = time.Time{}
	r.queued = r.queued && r.state == stateOff
	if r.state == stateOff && !r.refused {
		t.queue(&t.joins, r)
	}
}

func (t *table) unwish(r *row, now time.Time) {
	switch {
	case r.state == stateOff:
		t.drop(r)
	case r.state == stateOn && r.offAt.IsZero():
		t.startLinger(r, now)
	}
	t.fail(r)
}

// drop forgets a row that is off and unwanted.
func (t *table) drop(r *row) {
	r.queued, r.refused = false, false
	delete(t.rows, r.rowKey)
	t.fail(r)
}

// fail ends the waits for a row.
func (t *table) fail(r *row) {
	for w := range r.waiters {
		t.resolve(w, adapter.ErrAway)
	}
}

// queue puts r on a list unless it is there. Without a connection there are no lists; attach makes them.
func (t *table) queue(list *[]*row, r *row) {
	if t.attached && !r.queued {
		r.queued = true
		*list = append(*list, r)
	}
}

func (t *table) startLinger(r *row, now time.Time) {
	r.offAt = now.Add(t.linger)
	t.lingering = append(t.lingering, linger{row: r, until: r.offAt})
}

// due begins what was put off until now.
func (t *table) due(now time.Time) {
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

// nextDue is when due has something to do; zero when nothing was put off.
func (t *table) nextDue() time.Time {
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

// attach begins a connection without subscriptions: everything wanted is to be subscribed, the channels that peers depend
// on first.
func (t *table) attach() {
	var byKind [kinds][]*row
	for _, r := range t.rows {
		r.queued = true
		byKind[r.kind] = append(byKind[r.kind], r)
	}
	for _, rows := range byKind {
		t.joins = append(t.joins, rows...)
	}
	t.attached = true
}

// detach ends the connection and with it all subscriptions.
func (t *table) detach() {
	t.version++
	t.joins, t.leaves, t.lingering, t.batch, t.outstanding = nil, nil, nil, nil, nil
	t.refusals, t.retryAt = nil, time.Time{}
	t.unconfirmed, t.lastBatch = 0, 0
	t.attached = false
	for _, r := range t.rows {
		r.state, r.queued, r.offAt = stateOff, false, time.Time{}
		r.refused, r.retried, r.denied = false, false, false
		if !r.wanted {
			t.drop(r)
		}
	}
}

// confirm records a confirmation from Redis. An error means that table and connection no longer agree.
func (t *table) confirm(k redisconn.Kind, name string, now time.Time) error {
	v, ok := confirmations[k]
	if !ok {
		return fmt.Errorf("redis: unexpected reply about %q", name)
	}
	if v == sunsubscribe && !t.asked(v, name) {
		t.taken(name)
		return nil
	}
	if len(t.outstanding) == 0 {
		return fmt.Errorf("redis: unexpected confirmation: %s %q", v, name)
	}
	head := &t.outstanding[0]
	r := head.rows[0]
	if head.verb != v || r.name != name {
		return fmt.Errorf("redis: confirmation out of order: %s %q instead of %s %q", v, name, head.verb, r.name)
	}
	if head.rows = head.rows[1:]; len(head.rows) == 0 {
		t.outstanding = t.outstanding[1:]
	}
	t.unconfirmed--
	if v.joins() {
		t.on(r, now)
	} else {
		t.off(r)
	}
	return nil
}

func (t *table) on(r *row, now time.Time) {
	if r.retried {
		t.retryDelay = 0
	}
	r.state, r.retried, r.denied = stateOn, false, false
	if !r.wanted {
		t.startLinger(r, now)
	}
	for w := range r.waiters {
		t.advance(w)
	}
}

// off is where every row ends that is not subscribed any more.
func (t *table) off(r *row) {
	r.state, r.offAt, r.queued = stateOff, time.Time{}, false
	if r.wanted {
		t.queue(&t.joins, r)
	} else {
		t.drop(r)
	}
}

// asked reports whether a confirmation answers the oldest command.
func (t *table) asked(v verb, name string) bool {
	return len(t.outstanding) > 0 && t.outstanding[0].verb == v && t.outstanding[0].rows[0].name == name
}

// taken records that Redis ended a subscription by itself, as it does with a slot that moves to another server.
func (t *table) taken(name string) {
	if r := t.rows[rowKey{name: name}]; r != nil && r.state == stateOn {
		t.version++
		t.off(r)
	}
}

// refusedHead takes out the oldest command, which Redis did not carry out. A refused leave is a leave: it was for a slot
// that the server does not serve any more.
func (t *table) refusedHead() (c command, ok bool) {
	if len(t.outstanding) == 0 {
		return command{}, false
	}
	c = t.outstanding[0]
	t.outstanding = t.outstanding[1:]
	t.unconfirmed -= len(c.rows)
	if !c.verb.joins() {
		for _, r := range c.rows {
			t.off(r)
		}
	}
	return c, true
}

// refuse puts off the rows of a command that Redis refused; denied means for lack of rights, so that waiting is in vain.
func (t *table) refuse(c command, denied bool, now time.Time) {
	for _, r := range c.rows {
		r.state = stateOff
		if !r.wanted {
			t.drop(r)
			continue
		}
		r.refused, r.denied = true, denied
		t.refusals = append(t.refusals, r)
		if denied {
			t.fail(r)
		}
	}
	if len(t.refusals) > 0 && t.retryAt.IsZero() {
		t.retryDelay = min(max(2*t.retryDelay, retryFirst), retryLast)
		t.retryAt = now.Add(t.retryDelay)
	}
}

// split sends a refused command again in two halves, before anything else.
func (t *table) split(c command) {
	half := len(c.rows) / 2
	t.batch = append([]command{
		{verb: c.verb, rows: c.rows[:half:half]}, {verb: c.verb, rows: c.rows[half:]},
	}, t.batch...)
	t.unconfirmed += len(c.rows)
}

// release gives up all rows that another server is to serve, and returns what they were for.
func (t *table) release(served func(slot uint16) bool) []interest {
	var released []interest
	for _, r := range t.rows {
		if r.kind == kindProbe || served(r.slot) {
			continue
		}
		if r.wanted {
			released = append(released, r.interests...)
		}
		r.wanted, r.offAt = false, time.Time{}
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

func (t *table) isOn(in interest) bool {
	r := t.rows[in.key()]
	return r != nil && r.state == stateOn
}

// close ends every wait, and those to come.
func (t *table) close() {
	t.detach()
	t.closed = true
	for _, r := range t.rows {
		t.fail(r)
	}
	clear(t.rows)
}
