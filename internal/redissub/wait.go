package redissub

import (
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// Wait is for interests to be certain: each is subscribed, and then a fence has come back: a probe that was sent after
// that, while the version of the table stayed the same.
type Wait struct {
	// Done is called once, without locks. Without an error, version is that of the table in which the wait ended.
	Done func(version uint64, err error)

	keys    []Key
	next    int    // index of the row it waits for now; those before it are on
	version uint64 // in which they are
	on      *row   // and that row
	ended   bool
}

// End is the end of a wait.
type End struct {
	wait    *Wait
	version uint64
	err     error
}

// Tell calls Done. The caller holds no lock.
func (e End) Tell() { e.wait.Done(e.version, e.err) }

// Ended returns the waits that have ended since the last call.
func (t *Table) Ended() []End {
	ended := t.ended
	t.ended = nil
	return ended
}

// Begin begins a wait for interests, after Want was called for each: one that is not wanted ends the wait with ErrAway, and
// so does one that this user may not subscribe to.
func (t *Table) Begin(w *Wait, interests []Interest) {
	w.keys = make([]Key, 0, len(interests)+1)
	w.keys = append(w.keys, t.probe.Key())
	for _, in := range interests {
		w.keys = append(w.keys, in.Key())
	}
	if t.closed {
		t.end(w, adapter.ErrAway)
		return
	}
	t.advance(w)
}

// GiveUp ends a wait with ErrAway unless it has ended.
func (t *Table) GiveUp(w *Wait) { t.end(w, adapter.ErrAway) }

// advance lets w wait for the first of its rows that is not on, or for a fence.
func (t *Table) advance(w *Wait) {
	if w.ended {
		return
	}
	if w.version != t.version {
		w.next, w.version = 0, t.version
	}
	for ; w.next < len(w.keys); w.next++ {
		r := t.rows.find(w.keys[w.next])
		switch {
		case r == nil || !r.wanted || r.denied:
			t.end(w, adapter.ErrAway)
			return
		case !r.isOn():
			t.attend(w, r)
			return
		}
	}
	t.attend(w, nil)
	t.waiting = append(t.waiting, w)
}

// fenced records that a fence has come back for w. Its rows may have been left, and joined again, meanwhile.
func (t *Table) fenced(w *Wait) {
	for _, key := range w.keys {
		if r := t.rows.find(key); r == nil || !r.wanted || !r.isOn() || w.version != t.version {
			w.next = 0
			t.advance(w)
			return
		}
	}
	t.end(w, nil)
}

// attend changes the row that w waits for; nil is none.
func (t *Table) attend(w *Wait, r *row) {
	if w.on == r {
		return
	}
	if w.on != nil {
		delete(w.on.waits, w)
	}
	if w.on = r; r == nil {
		return
	}
	if r.waits == nil {
		r.waits = make(map[*Wait]struct{})
	}
	r.waits[w] = struct{}{}
}

// fail ends the waits for a row.
func (t *Table) fail(r *row) {
	for w := range r.waits {
		t.end(w, adapter.ErrAway)
	}
}

func (t *Table) end(w *Wait, err error) {
	if w.ended {
		return
	}
	w.ended = true
	t.attend(w, nil)
	t.ended = append(t.ended, End{wait: w, version: t.version, err: err})
}

// Returned records a message on the probe channel. took is how long it was on its way; first: it is the first of its
// connection; ok is false for what is not the last probe.
func (t *Table) Returned(payload []byte, now time.Time) (took time.Duration, first, ok bool) {
	took, fenced, ok := t.received(payload, now)
	if !ok {
		return 0, false, false
	}
	first = !t.proven
	t.proven = true
	for _, w := range fenced {
		t.fenced(w)
	}
	return took, first, true
}
