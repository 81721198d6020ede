package redis

import (
	"slices"
	"time"

	"github.com/carillon-io/carillon/internal/redisconn"
)

// batchSize is the most channels in one command. One command for everything would draw so many confirmations at once
// that Redis ends the connection for its output buffer, again with every attempt.
const batchSize = 1000

type verb string

const (
	subscribe    verb = "subscribe"
	unsubscribe  verb = "unsubscribe"
	psubscribe   verb = "psubscribe"
	punsubscribe verb = "punsubscribe"
	ssubscribe   verb = "ssubscribe"
	sunsubscribe verb = "sunsubscribe"
)

func (v verb) joins() bool { return v == subscribe || v == psubscribe || v == ssubscribe }

// confirmations are the commands that replies answer.
var confirmations = map[redisconn.Kind]verb{
	redisconn.Subscribed: subscribe, redisconn.Unsubscribed: unsubscribe,
	redisconn.PatternSubscribed: psubscribe, redisconn.PatternUnsubscribed: punsubscribe,
	redisconn.ShardSubscribed: ssubscribe, redisconn.ShardUnsubscribed: sunsubscribe,
}

// command is one command to Redis; its channels are confirmed one by one, in this order.
type command struct {
	verb verb
	rows []*row
}

func (c command) append(b []byte) []byte {
	b = redisconn.AppendCommand(b, string(c.verb), len(c.rows)+1)
	for _, r := range c.rows {
		b = redisconn.AppendWord(b, r.name)
	}
	return b
}

// next is the next command to send, if any may be sent now: the batch before must be confirmed by half. So single joins
// become batches by themselves when there are many.
func (t *table) next() (command, bool) {
	if !t.attached {
		return command{}, false
	}
	if len(t.batch) == 0 && t.unconfirmed*2 <= t.lastBatch {
		t.startBatch()
	}
	if len(t.batch) == 0 {
		return command{}, false
	}
	c := t.batch[0]
	t.batch = t.batch[1:]
	t.outstanding = append(t.outstanding, c)
	return c, true
}

func (t *table) startBatch() {
	lists := [2]*[]*row{&t.joins, &t.leaves}
	if t.leaveNext {
		lists[0], lists[1] = lists[1], lists[0]
	}
	for _, list := range lists {
		leaves := list == &t.leaves
		rows := takeBatch(list, leaves)
		if len(rows) == 0 {
			continue
		}
		for _, r := range rows {
			r.state = stateSubscribing
			if leaves {
				r.state = stateUnsubscribing
			}
			r.offAt = time.Time{}
		}
		t.leaveNext = !leaves
		t.unconfirmed += len(rows)
		t.lastBatch = len(rows)
		t.batch = t.commands(t.verbFor(rows[0], leaves), rows)
		return
	}
}

// commands divides a batch into commands. The channels that peers depend on stay in front.
func (t *table) commands(v verb, rows []*row) []command {
	if !t.bySlot {
		return []command{{verb: v, rows: rows}}
	}
	slices.SortStableFunc(rows, func(a, b *row) int {
		if a.kind != b.kind {
			return int(a.kind) - int(b.kind)
		}
		return int(a.slot) - int(b.slot)
	})
	var commands []command
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].slot == rows[0].slot {
			n++
		}
		commands = append(commands, command{verb: v, rows: rows[:n:n]})
		rows = rows[n:]
	}
	return commands
}

// takeBatch takes rows that go into one command. Names and patterns need different ones.
func takeBatch(list *[]*row, leaves bool) []*row {
	var batch []*row
	rest := *list
	for len(rest) > 0 && len(batch) < batchSize {
		r := rest[0]
		if len(batch) > 0 && r.pattern != batch[0].pattern {
			break
		}
		rest[0] = nil
		rest = rest[1:]
		if r.queued && leaves == (r.state == stateOn) {
			r.queued = false
			batch = append(batch, r)
		}
	}
	*list = rest
	return batch
}

func (t *table) verbFor(r *row, leave bool) verb {
	switch {
	case t.sharded && leave:
		return sunsubscribe
	case t.sharded:
		return ssubscribe
	case r.pattern && leave:
		return punsubscribe
	case r.pattern:
		return psubscribe
	case leave:
		return unsubscribe
	}
	return subscribe
}
