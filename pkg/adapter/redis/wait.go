package redis

import "github.com/carillon-io/carillon/pkg/adapter"

// waiter waits until all its rows are on, and then for a fence: a probe that is published after that and comes back while
// the version of the table stays the same.
type waiter struct {
	keys []rowKey
	// done is called once, without the server's lock. With nil, version is that in which the wait ended.
	done func(version uint64, err error)

	next     int    // index of the row it waits for now; those before it are on
	version  uint64 // in which they are
	on       *row   // and that row
	finished bool
}

// resolution is the end of a wait, to be told once the table's lock is released.
type resolution struct {
	waiter  *waiter
	version uint64
	err     error
}

// wait begins a wait. The caller has recorded whether the interests are wanted: a row that is not ends the wait.
func (t *table) wait(w *waiter) {
	if t.closed {
		t.resolve(w, adapter.ErrAway)
		return
	}
	t.advance(w)
}

// advance lets w wait for the first of its rows that is not on, or for a fence.
func (t *table) advance(w *waiter) {
	if w.finished {
		return
	}
	if w.version != t.version {
		w.next, w.version = 0, t.version
	}
	for ; w.next < len(w.keys); w.next++ {
		r := t.rows[w.keys[w.next]]
		switch {
		case r == nil || !r.wanted || r.denied:
			t.resolve(w, adapter.ErrAway)
			return
		case r.state != stateOn:
			t.attend(w, r)
			return
		}
	}
	t.attend(w, nil)
	t.toFence = append(t.toFence, w)
}

// fenced tells that a fence has come back that was published after w began to wait for it. Its rows may have been left, and
// joined again, meanwhile.
func (t *table) fenced(w *waiter) {
	for _, key := range w.keys {
		if r := t.rows[key]; r == nil || !r.wanted || r.state != stateOn || w.version != t.version {
			w.next = 0
			t.advance(w)
			return
		}
	}
	t.resolve(w, nil)
}

// attend changes the row that w waits for; nil is none.
func (t *table) attend(w *waiter, r *row) {
	if w.on == r {
		return
	}
	if w.on != nil {
		delete(w.on.waiters, w)
	}
	if w.on = r; r == nil {
		return
	}
	if r.waiters == nil {
		r.waiters = make(map[*waiter]struct{})
	}
	r.waiters[w] = struct{}{}
}

func (t *table) resolve(w *waiter, err error) {
	if w.finished {
		return
	}
	w.finished = true
	t.attend(w, nil)
	t.resolved = append(t.resolved, resolution{waiter: w, version: t.version, err: err})
}
