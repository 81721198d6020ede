package redissub

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

// Command is one command to Redis; its channels are confirmed one by one, in this order.
type Command struct {
	verb verb
	rows []*row
}

// Append appends the command as it is sent.
func (c Command) Append(b []byte) []byte {
	b = redisconn.AppendCommand(b, string(c.verb), len(c.rows)+1)
	for _, r := range c.rows {
		b = redisconn.AppendWord(b, r.Name)
	}
	return b
}

// Next is the next command to send, if any may be sent now: the batch before must be confirmed by half.
func (t *Table) Next(now time.Time) (_ Command, ok bool) {
	t.due(now)
	if !t.attached {
		return Command{}, false
	}
	if len(t.batch) == 0 && t.unconfirmed*2 <= t.lastBatch {
		t.startBatch()
	}
	if len(t.batch) == 0 {
		return Command{}, false
	}
	c := t.batch[0]
	t.batch = t.batch[1:]
	t.outstanding = append(t.outstanding, c)
	return c, true
}

func (t *Table) startBatch() {
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
func (t *Table) commands(v verb, rows []*row) []Command {
	if !t.bySlot {
		return []Command{{verb: v, rows: rows}}
	}
	slices.SortStableFunc(rows, func(a, b *row) int {
		if a.kind != b.kind {
			return int(a.kind) - int(b.kind)
		}
		return int(a.slot) - int(b.slot)
	})
	var commands []Command
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].slot == rows[0].slot {
			n++
		}
		commands = append(commands, Command{verb: v, rows: rows[:n:n]})
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
		if len(batch) > 0 && r.Pattern != batch[0].Pattern {
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

func (t *Table) verbFor(r *row, leave bool) verb {
	switch {
	case t.sharded && leave:
		return sunsubscribe
	case t.sharded:
		return ssubscribe
	case r.Pattern && leave:
		return punsubscribe
	case r.Pattern:
		return psubscribe
	case leave:
		return unsubscribe
	}
	return subscribe
}

// split sends a refused command again in two halves, before anything else.
func (t *Table) split(c Command) {
	half := len(c.rows) / 2
	t.batch = append([]Command{
		{verb: c.verb, rows: c.rows[:half:half]}, {verb: c.verb, rows: c.rows[half:]},
	}, t.batch...)
	t.unconfirmed += len(c.rows)
}
