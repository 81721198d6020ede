package redis

import (
	"fmt"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
)

type state uint8

const (
	stateOff state = iota
	stateSubscribing
	stateOn
	stateUnsubscribing
)

// channel is one row of the table.
//
//	off ──SUBSCRIBE──▶ subscribing ──confirmed──▶ on ──linger, UNSUBSCRIBE──▶ unsubscribing ──confirmed──▶ off
//
// While a command is outstanding a changed wish only changes wanted; the confirmation acts on it. So a channel has at
// most one command under way, and confirmations need no numbers.
type channel struct {
	interest

	state   state
	wanted  bool
	queued  bool      // in joins or leaves
	offAt   time.Time // when to ask again whether it is wanted; zero unless lingering
	waiters map[*waiter]struct{}
}

// linger is a channel nobody wants, and when it is to be looked at again.
type linger struct {
	channel *channel
	until   time.Time
}

func (l linger) stale() bool { return l.channel.state != stateOn || !l.channel.offAt.Equal(l.until) }

// table knows which channels this node wants and which it has. It is a pure state machine: it neither reads clocks nor
// talks to Redis, and is not safe for concurrent use.
type table struct {
	// Static after construction.
	linger time.Duration
	// sharded: the channels are sharded ones. bySlot: on a cluster, where a command can only name channels of one slot.
	sharded, bySlot bool

	probe string // this node's probe channel

	channels map[string]*channel
	// joins and leaves wait for a command; entries that are no longer queued are skipped.
	joins, leaves []*channel
	leaveNext     bool     // joins and leaves take turns
	lingering     []linger // in order of time; entries that no longer say what the channel says are skipped
	// batch is what is left of the last one, which may be several commands.
	batch []command
	// outstanding are the commands sent, oldest first, without the channels already confirmed.
	outstanding []command
	unconfirmed int // channels of outstanding and batch
	lastBatch   int
	attached    bool // a connection takes commands
	proven      bool // and a probe has come back on it
	closed      bool
	resolved    []resolution
}

func newTable(probe string, linger time.Duration) *table {
	return &table{probe: probe, linger: linger, channels: make(map[string]*channel)}
}

// want records whether a channel is wanted at this moment. That a channel is unwanted takes effect when it is told
// again after the linger.
func (t *table) want(in interest, wanted bool, now time.Time) {
	ch := t.channels[in.channel]
	if ch == nil {
		if !wanted {
			return
		}
		ch = t.add(in)
	}
	ch.wanted = wanted
	switch {
	case wanted:
		ch.offAt = time.Time{}
		ch.queued = ch.queued && ch.state == stateOff
		if ch.state == stateOff {
			t.queue(&t.joins, ch)
		}
		return
	case ch.state == stateOff:
		ch.queued = false
		delete(t.channels, in.channel)
	case ch.state == stateOn && ch.offAt.IsZero():
		t.startLinger(ch, now)
	case ch.state == stateOn && !now.Before(ch.offAt):
		t.queue(&t.leaves, ch)
	}
	for w := range ch.waiters {
		t.resolve(w, adapter.ErrAway)
	}
}

func (t *table) add(in interest) *channel {
	ch := &channel{interest: in}
	t.channels[in.channel] = ch
	return ch
}

// queue puts ch on a list unless it is there. Without a connection there are no lists; attach makes them.
func (t *table) queue(list *[]*channel, ch *channel) {
	if t.attached && !ch.queued {
		ch.queued = true
		*list = append(*list, ch)
	}
}

func (t *table) startLinger(ch *channel, now time.Time) {
	ch.offAt = now.Add(t.linger)
	t.lingering = append(t.lingering, linger{channel: ch, until: ch.offAt})
}

// due takes out the channels whose linger has ended; the caller finds out whether they are wanted now.
func (t *table) due(now time.Time) []interest {
	var due []interest
	for len(t.lingering) > 0 {
		head := t.lingering[0]
		if !head.stale() {
			if now.Before(head.until) {
				break
			}
			due = append(due, head.channel.interest)
		}
		t.lingering[0] = linger{}
		t.lingering = t.lingering[1:]
	}
	return due
}

// nextDue is when due has something to tell; zero when nothing lingers.
func (t *table) nextDue() time.Time {
	for _, l := range t.lingering {
		if !l.stale() {
			return l.until
		}
	}
	return time.Time{}
}

// attach begins a connection without subscriptions: everything wanted is to be subscribed, the channels that others
// depend on first.
func (t *table) attach() {
	var byKind [kinds][]*channel
	for _, ch := range t.channels {
		if ch.queued = ch.wanted; ch.wanted {
			byKind[ch.kind] = append(byKind[ch.kind], ch)
		}
	}
	for _, channels := range byKind {
		t.joins = append(t.joins, channels...)
	}
	t.attached = true
}

// detach ends the connection and with it all subscriptions.
func (t *table) detach() {
	for name, ch := range t.channels {
		ch.state, ch.queued, ch.offAt = stateOff, false, time.Time{}
		if !ch.wanted && len(ch.waiters) == 0 {
			delete(t.channels, name)
		}
	}
	t.joins, t.leaves, t.lingering, t.batch, t.outstanding = nil, nil, nil, nil, nil
	t.unconfirmed, t.lastBatch = 0, 0
	t.attached, t.proven = false, false
}

// confirm takes in a confirmation from Redis. An error means that table and connection no longer agree.
func (t *table) confirm(v verb, name string, now time.Time) error {
	if v == sunsubscribe && !t.asked(v, name) {
		t.taken(name)
		return nil
	}
	if len(t.outstanding) == 0 {
		return fmt.Errorf("redis: unexpected confirmation: %s %q", v, name)
	}
	head := &t.outstanding[0]
	ch := head.channels[0]
	if head.verb != v || ch.channel != name {
		return fmt.Errorf("redis: confirmation out of order: %s %q instead of %s %q", v, name, head.verb, ch.channel)
	}
	if head.channels = head.channels[1:]; len(head.channels) == 0 {
		t.outstanding = t.outstanding[1:]
	}
	t.unconfirmed--

	if v == subscribe || v == psubscribe || v == ssubscribe {
		ch.state = stateOn
		if !ch.wanted {
			t.startLinger(ch, now)
		}
		t.advanceAll(ch)
		return nil
	}
	ch.state = stateOff
	if ch.wanted {
		t.queue(&t.joins, ch)
	} else if len(ch.waiters) == 0 {
		delete(t.channels, name)
	}
	return nil
}

// asked reports whether a confirmation answers the oldest command.
func (t *table) asked(v verb, name string) bool {
	if len(t.outstanding) == 0 {
		return false
	}
	head := t.outstanding[0]
	return head.verb == v && head.channels[0].channel == name
}

// taken takes in that Redis ended a subscription by itself, as it does with a slot that moves to another master.
func (t *table) taken(name string) {
	ch := t.channels[name]
	if ch == nil || ch.state != stateOn {
		return
	}
	ch.state, ch.offAt, ch.queued = stateOff, time.Time{}, false
	if ch.wanted {
		t.queue(&t.joins, ch)
	} else if len(ch.waiters) == 0 {
		delete(t.channels, name)
	}
}

// refuse takes in that Redis did not carry out the oldest command, because another master has the slot now. The caller
// finds out who wants the channels, and where. ok is false when the oldest command is about another slot: table and
// connection no longer agree.
func (t *table) refuse(slot uint16) (interests []interest, ok bool) {
	if len(t.outstanding) == 0 || t.outstanding[0].channels[0].slot != slot {
		return nil, false
	}
	channels := t.outstanding[0].channels
	t.outstanding = t.outstanding[1:]
	t.unconfirmed -= len(channels)
	for _, ch := range channels {
		ch.state = stateOff
		interests = append(interests, ch.interest)
		if !ch.wanted && len(ch.waiters) == 0 {
			delete(t.channels, ch.channel)
		}
	}
	return interests, true
}

// prove marks the connection as one on which messages do come in, and reports whether that is news.
func (t *table) prove() bool {
	if t.proven {
		return false
	}
	t.proven = true
	if ch := t.channels[t.probe]; ch != nil {
		t.advanceAll(ch)
	}
	return true
}

func (t *table) isOn(name string) bool {
	ch := t.channels[name]
	return ch != nil && ch.state == stateOn
}
