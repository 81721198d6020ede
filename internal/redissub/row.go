package redissub

import (
	"iter"
	"slices"
	"time"
)

type state uint8

const (
	stateOff state = iota
	stateSubscribing
	stateOn
	stateUnsubscribing
)

// row is one channel or pattern.
//
//	off ──SUBSCRIBE──▶ subscribing ──confirmed──▶ on ──linger, UNSUBSCRIBE──▶ unsubscribing ──confirmed──▶ off
//
// While a command is outstanding a changed wish only changes wanted; the confirmation acts on it. So a channel has at
// most one command under way, and confirmations need no numbers.
type row struct {
	Key

	kind Kind // the first of its interests'
	slot uint16
	// interests are those that want the channel, or, when none does, those that did last. The slice is never changed: it
	// is handed out.
	interests []Interest
	wanted    bool
	state     state
	queued    bool      // in joins or leaves
	offAt     time.Time // when it is unsubscribed; zero unless it lingers
	refused   bool      // it waits for retryAt
	retried   bool      // it did, and was sent again
	denied    bool      // this user may not subscribe to it
	// released: another server serves the slot, and this one may still send what was published here before. It is not
	// delivered, since messages of the other server may already have been. The row has to be off before it is used again.
	released bool
	waits    map[*Wait]struct{}
}

// isOn reports whether messages on the channel are received.
func (r *row) isOn() bool { return r.state == stateOn && !r.released }

// add makes an interest one of those that want the row.
func (r *row) add(in Interest) {
	if !r.wanted {
		r.wanted, r.kind, r.interests = true, in.Kind, []Interest{in}
	} else if !slices.Contains(r.interests, in) {
		r.interests = append(slices.Clone(r.interests), in)
	}
}

// remove ends an interest, and reports whether the row is unwanted.
func (r *row) remove(in Interest) bool {
	switch {
	case !r.wanted:
		return true
	case len(r.interests) > 1:
		r.interests = slices.DeleteFunc(slices.Clone(r.interests), func(other Interest) bool { return other == in })
		return false
	}
	r.wanted = !slices.Contains(r.interests, in)
	return !r.wanted
}

// rows are those of a table. Names and patterns have maps of their own, which are faster than one of both.
type rows struct{ names, patterns map[string]*row }

func newRows() rows { return rows{names: make(map[string]*row), patterns: make(map[string]*row)} }

func (r rows) of(pattern bool) map[string]*row {
	if pattern {
		return r.patterns
	}
	return r.names
}

func (r rows) find(k Key) *row { return r.of(k.Pattern)[k.Name] }

func (r rows) all() iter.Seq[*row] {
	return func(yield func(*row) bool) {
		for _, rows := range [...]map[string]*row{r.patterns, r.names} {
			for _, one := range rows {
				if !yield(one) {
					return
				}
			}
		}
	}
}

// linger is a row that nothing wants, and when it is unsubscribed.
type linger struct {
	row   *row
	until time.Time
}

// stale reports whether the row has been wanted again since.
func (l linger) stale() bool { return l.row.state != stateOn || !l.row.offAt.Equal(l.until) }
