package redissub

import (
	"fmt"
	"time"

	"github.com/carillon-io/carillon/internal/redisconn"
)

// Attach begins a connection without subscriptions: everything wanted is to be subscribed, the channels that peers depend
// on first.
func (t *Table) Attach(now time.Time) {
	t.proven = false
	t.alive(now)
	var byKind [kinds][]*row
	for r := range t.rows.all() {
		r.queued = true
		byKind[r.kind] = append(byKind[r.kind], r)
	}
	for _, rows := range byKind {
		t.joins = append(t.joins, rows...)
	}
	t.attached = true
}

// Detach ends the connection and with it all subscriptions. It reports whether a probe had come back on it.
func (t *Table) Detach() (proven bool) {
	t.version++
	t.joins, t.leaves, t.lingering, t.batch, t.outstanding = nil, nil, nil, nil, nil
	t.refusals, t.retryAt = nil, time.Time{}
	clear(t.torn)
	t.unconfirmed, t.lastBatch = 0, 0
	t.attached = false
	for r := range t.rows.all() {
		r.state, r.queued, r.offAt, r.released = stateOff, false, time.Time{}, false
		r.refused, r.retried, r.denied = false, false, false
		if !r.wanted {
			t.drop(r)
		}
	}
	for _, w := range t.detach() {
		t.advance(w)
	}
	return t.proven
}

// Confirm records a confirmation from Redis. torn: Redis has begun to end subscriptions of a slot by itself; probed: the
// probe channel is subscribed. An error means that table and connection no longer agree.
func (t *Table) Confirm(k redisconn.Kind, name string, now time.Time) (torn, probed bool, err error) {
	t.alive(now)
	v, ok := confirmations[k]
	if !ok {
		return false, false, fmt.Errorf("redis: unexpected reply about %q", name)
	}
	if v == sunsubscribe && !t.asked(v, name) {
		return t.taken(name), false, nil
	}
	if len(t.outstanding) == 0 {
		return false, false, fmt.Errorf("redis: unexpected confirmation: %s %q", v, name)
	}
	head := &t.outstanding[0]
	r := head.rows[0]
	if head.verb != v || r.Name != name {
		return false, false, fmt.Errorf("redis: confirmation out of order: %s %q instead of %s %q", v, name, head.verb, r.Name)
	}
	if head.rows = head.rows[1:]; len(head.rows) == 0 {
		t.outstanding = t.outstanding[1:]
	}
	t.unconfirmed--
	if !v.joins() {
		t.off(r)
		return false, false, nil
	}
	t.on(r, now)
	if probed = name == t.probe.Channel; probed {
		t.listen(now)
	}
	return false, probed, nil
}

func (t *Table) on(r *row, now time.Time) {
	if r.retried {
		t.retryDelay = 0
	}
	r.state, r.retried, r.denied = stateOn, false, false
	delete(t.torn, r.slot)
	switch {
	case r.released:
		t.queue(&t.leaves, r)
	case !r.wanted:
		t.startLinger(r, now)
	}
	for w := range r.waits {
		t.advance(w)
	}
}

// off is where every row ends that is not subscribed any more.
func (t *Table) off(r *row) {
	r.state, r.offAt, r.queued, r.released = stateOff, time.Time{}, false, false
	if r.wanted {
		t.queue(&t.joins, r)
	} else {
		t.drop(r)
	}
}

// asked reports whether a confirmation answers the oldest command.
func (t *Table) asked(v verb, name string) bool {
	return len(t.outstanding) > 0 && t.outstanding[0].verb == v && t.outstanding[0].rows[0].Name == name
}

// taken records that Redis ended a subscription by itself, as it does with a slot that moves to another server. It reports
// whether this is the first of its slot with messages since Redis last accepted one there: the channels of a slot go together.
func (t *Table) taken(name string) (first bool) {
	r := t.rows.names[name]
	if r == nil || r.state != stateOn {
		return false
	}
	t.version++
	t.off(r)
	if r.kind.isMark() {
		return false
	}
	first = !t.torn[r.slot]
	t.torn[r.slot] = true
	return first
}

// Refuse records that Redis refused the oldest command; denied means for lack of the right to one of its channels, so that
// waiting is in vain. A refused command with several channels is sent again in two halves until the forbidden one is found.
// A refused leave is a leave: it was for a slot that the server does not serve any more. ok is false when there was no
// command to refuse.
func (t *Table) Refuse(denied bool, now time.Time) (ok bool) {
	if len(t.outstanding) == 0 {
		return false
	}
	c := t.outstanding[0]
	t.outstanding = t.outstanding[1:]
	t.unconfirmed -= len(c.rows)
	switch {
	case !c.verb.joins():
		for _, r := range c.rows {
			t.off(r)
		}
	case denied && len(c.rows) > 1:
		t.split(c)
	default:
		t.putOff(c.rows, denied, now)
	}
	return true
}

// putOff has the rows of a refused command tried again later.
func (t *Table) putOff(rows []*row, denied bool, now time.Time) {
	for _, r := range rows {
		r.state, r.released = stateOff, false
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
