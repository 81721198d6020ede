package redisquestions

import (
	"slices"

	"github.com/carillon-io/carillon/internal/redispeers"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// Unnamed stands for a node whose name is not known: Node's classic servers do not send theirs.
const Unnamed = "?"

// tally is which nodes have answered a question, and how much of their answers is still to come. It is a pure state
// machine and not safe for concurrent use.
type tally struct {
	acked    bool                   // an answer is a Count, and then so many acknowledgements
	counting bool                   // an answer is a number of sockets
	expected redispeers.Expectation // set once the question is published; nothing is complete before
	answers  map[string]*progress   // by node; those without name share one
	unnamed  int                    // answers of nodes without name
	cut      int                    // how many of these were not whole
	gone     map[string]bool        // nodes that will not say any more
}

// progress is what has come from a node.
type progress struct {
	owed    int  // acknowledgements to come; below 0 while they overtake their number
	begun   bool // the Count, or the first part of a list, has come
	divided bool // more parts of the list follow
	parts   int  // that have come
	cut     bool // the list ended without all its entries
}

func newTally(q adapter.Query) tally {
	t := tally{answers: make(map[string]*progress), gone: make(map[string]bool)}
	switch q.(type) {
	case adapter.BroadcastAsk:
		t.acked = true
	case adapter.CountSockets, adapter.Perform:
		t.counting = true
	}
	return t
}

// receive records a message, and reports whether it is one more part of an answer: false is for one that repeats what has
// come.
func (t *tally) receive(r rediswire.Response) bool {
	name := r.UID
	if name == "" {
		name = Unnamed
	}
	a := t.answers[name]
	if a == nil {
		a = &progress{}
		t.answers[name] = a
	}
	count, isCount := r.Reply.(adapter.Count)
	if t.counting {
		count = 0 // nothing follows it
	}
	switch {
	case t.acked && !isCount:
		a.owed--
	case name == Unnamed:
		a.begun = true
		a.owed += int(count)
		t.unnamed++
		if r.Extent.Cut {
			t.cut++
		}
	case a.divided:
		a.part(r.Extent)
	case a.begun:
		return false
	default:
		a.begun = true
		a.owed += int(count)
		a.part(r.Extent)
	}
	return true
}

// reply is what an answer says to the one that asked. Node's servers answer with their sockets where a number is wanted.
func (t *tally) reply(r rediswire.Response) adapter.Reply {
	if !t.counting {
		return r.Reply
	}
	counted := adapter.Counted{Node: r.UID}
	switch reply := r.Reply.(type) {
	case adapter.Count:
		counted.Sockets = int(reply)
	case adapter.Sockets:
		counted.Sockets = len(reply)
	}
	return counted
}

// part records the extent of a message of a list. The last one has the number of parts: one may have been lost.
func (a *progress) part(extent rediswire.Extent) {
	if a.divided = extent.More; a.divided {
		a.parts++
		return
	}
	a.cut = extent.Cut || extent.Parts != a.parts
}

// isOpen reports whether more is to come of what has begun.
func (a *progress) isOpen() bool { return a.owed > 0 || a.divided }

// isComplete reports whether no node is waited for any more. Once patience has ended only those are that have begun to
// answer.
func (t *tally) isComplete(patient bool) bool {
	for name, a := range t.answers {
		if a.isOpen() && !t.gone[name] {
			return false
		}
	}
	if !patient {
		return true
	}
	for name, duty := range t.expected.Peers {
		if duty == redispeers.Awaited && !t.hasBegun(name) && !t.gone[name] {
			return false
		}
	}
	return t.silentStrangers() <= t.expected.Excused
}

func (t *tally) hasBegun(name string) bool {
	a := t.answers[name]
	return a != nil && a.begun
}

// silentStrangers is how many nodes without a record have not answered. A node of our kind that is no part of the question
// does not stand in for one.
func (t *tally) silentStrangers() int {
	answered := t.unnamed
	for name, a := range t.answers {
		if _, known := t.expected.Peers[name]; !known && name != Unnamed && a.begun {
			answered++
		}
	}
	return max(t.expected.Strangers-answered, 0)
}

// Outcome is what was missing when a question ended.
type Outcome struct {
	Missing         []string // nodes that owe an answer, or part of one
	Silent          []string // those among them with a name from which nothing at all has come
	SilentStrangers int      // and how many without a record
}

func (t *tally) outcome() Outcome {
	r := Outcome{SilentStrangers: t.silentStrangers()}
	for name, duty := range t.expected.Peers {
		if duty != redispeers.NoDuty && !t.hasBegun(name) {
			r.Silent = append(r.Silent, name)
		}
	}
	r.Missing = append(r.Missing, r.Silent...)
	for name, a := range t.answers {
		if a.isOpen() || a.cut {
			r.Missing = append(r.Missing, name)
		}
	}
	slices.Sort(r.Missing)
	for range r.SilentStrangers + t.cut {
		r.Missing = append(r.Missing, Unnamed)
	}
	return r
}
