package redis

import (
	"slices"
	"time"
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

// command is one command to Redis; its channels are confirmed one by one, in this order.
type command struct {
	verb     verb
	channels []*channel
}

func (c command) names() []string {
	names := make([]string, len(c.channels))
	for i, ch := range c.channels {
		names[i] = ch.channel
	}
	return names
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
	lists := [2]*[]*channel{&t.joins, &t.leaves}
	if t.leaveNext {
		lists[0], lists[1] = lists[1], lists[0]
	}
	for _, list := range lists {
		leaves := list == &t.leaves
		channels := t.takeBatch(list, leaves)
		if len(channels) == 0 {
			continue
		}
		for _, ch := range channels {
			ch.state = stateSubscribing
			if leaves {
				ch.state, ch.offAt = stateUnsubscribing, time.Time{}
			}
		}
		t.leaveNext = !leaves
		t.unconfirmed += len(channels)
		t.lastBatch = len(channels)
		t.batch = t.commands(t.verbFor(channels[0], leaves), channels)
		return
	}
}

// commands divides a batch into commands. The channels that others depend on stay in front.
func (t *table) commands(v verb, channels []*channel) []command {
	if !t.bySlot {
		return []command{{verb: v, channels: channels}}
	}
	slices.SortStableFunc(channels, func(a, b *channel) int {
		if a.kind != b.kind {
			return int(a.kind) - int(b.kind)
		}
		return int(a.slot) - int(b.slot)
	})
	var commands []command
	for len(channels) > 0 {
		n := 1
		for n < len(channels) && channels[n].slot == channels[0].slot {
			n++
		}
		commands = append(commands, command{verb: v, channels: channels[:n:n]})
		channels = channels[n:]
	}
	return commands
}

// takeBatch takes channels that go into one command. Names and patterns need different ones.
func (t *table) takeBatch(list *[]*channel, leaves bool) []*channel {
	var batch []*channel
	rest := *list
	for len(rest) > 0 && len(batch) < batchSize {
		ch := rest[0]
		if len(batch) > 0 && (ch.kind == kindPattern) != (batch[0].kind == kindPattern) {
			break
		}
		rest[0] = nil
		rest = rest[1:]
		if ch.queued && leaves == (ch.state == stateOn) {
			ch.queued = false
			batch = append(batch, ch)
		}
	}
	*list = rest
	return batch
}

func (t *table) verbFor(ch *channel, leave bool) verb {
	switch {
	case t.sharded && leave:
		return sunsubscribe
	case t.sharded:
		return ssubscribe
	case ch.kind == kindPattern && leave:
		return punsubscribe
	case ch.kind == kindPattern:
		return psubscribe
	case leave:
		return unsubscribe
	}
	return subscribe
}
