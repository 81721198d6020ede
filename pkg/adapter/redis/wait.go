package redis

import (
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// waiter waits until all its channels are believed at the same time.
type waiter struct {
	interests []interest
	done      func(error)
	timer     *time.Timer // ends the wait; set before it begins
	next      int         // index of the interest it waits for now
	on        *channel    // and that channel
	finished  bool
}

// resolution is the end of a wait, to be told once the table's lock is released.
type resolution struct {
	waiter *waiter
	err    error
}

// wait ends w with nil once all its channels are believed. The caller then has each of them judged by want: one that
// turns out not to be wanted ends w with ErrAway.
func (t *table) wait(w *waiter) {
	if t.closed {
		t.resolve(w, adapter.ErrAway)
		return
	}
	t.advance(w)
}

// giveUp ends w with ErrAway unless it has ended.
func (t *table) giveUp(w *waiter) { t.resolve(w, adapter.ErrAway) }

// close ends every wait, those to come included.
func (t *table) close() {
	t.detach()
	t.closed = true
	for _, ch := range t.channels {
		for w := range ch.waiters {
			t.resolve(w, adapter.ErrAway)
		}
	}
}

func (t *table) advanceAll(ch *channel) {
	for w := range ch.waiters {
		t.advance(w)
	}
}

// advance lets w wait for the first of its channels that is not believed. Only one is looked after at a time: those
// before it are looked at again in the end, for a connection may have been lost meanwhile.
func (t *table) advance(w *waiter) {
	for again := w.next > 0; ; again = false {
		for ; w.next < len(w.interests); w.next++ {
			in := w.interests[w.next]
			ch := t.channels[in.channel]
			if ch != nil && t.believed(ch) {
				continue
			}
			if ch == nil {
				ch = t.add(in)
			}
			t.attend(w, ch)
			return
		}
		if !again {
			break
		}
		w.next = 0
	}
	t.resolve(w, nil)
}

// believed reports whether what is published on ch reaches this node. The probe's own channel stands for the
// connection.
func (t *table) believed(ch *channel) bool {
	return ch.state == stateOn && (ch.kind != kindProbe || t.proven)
}

// attend changes the channel that w waits for; nil is none.
func (t *table) attend(w *waiter, ch *channel) {
	if w.on == ch {
		return
	}
	if w.on != nil {
		delete(w.on.waiters, w)
	}
	if w.on = ch; ch == nil {
		return
	}
	if ch.waiters == nil {
		ch.waiters = make(map[*waiter]struct{})
	}
	ch.waiters[w] = struct{}{}
}

func (t *table) resolve(w *waiter, err error) {
	if w.finished {
		return
	}
	w.finished = true
	t.attend(w, nil)
	t.resolved = append(t.resolved, resolution{waiter: w, err: err})
}
