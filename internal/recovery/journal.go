package recovery

import "strings"

// change is a room that a socket has joined or left, behind a place in the log.
type change struct {
	place uint64
	room  string
	left  bool
}

// A journal has room for journalLeast changes at first, and for journalMost at the most.
const (
	journalLeast = 8
	journalMost  = 256
	changeSize   = 40
)

// journal is what a socket has joined and left, the oldest first.
type journal struct {
	changes []change
	names   int // bytes of the rooms' names
}

// full reports whether something should be pruned before the next change.
func (j *journal) full() bool {
	n := len(j.changes)
	return n >= journalMost || n >= journalLeast && n == cap(j.changes)
}

// add appends a change. The name is copied: it may be a piece of a large message.
func (j *journal) add(c change) {
	c.room = strings.Clone(c.room)
	j.changes = append(j.changes, c)
	j.names += len(c.room)
}

// prune forgets the changes that do not matter for the places behind one, and of more than journalMost the oldest. It
// returns the place up to which rooms are not known any more; 0: only what does not matter was forgotten.
func (j *journal) prune(needed uint64) (forgotten uint64) {
	first := 0
	for first < len(j.changes) && j.changes[first].place <= needed {
		first++
	}
	if excess := len(j.changes) - first - journalMost/2; len(j.changes)-first >= journalMost && excess > 0 {
		first += excess
		forgotten = j.changes[first-1].place
	}
	for i := range j.changes[:first] {
		j.names -= len(j.changes[i].room)
	}
	j.changes = append(make([]change, 0, max(journalLeast, 2*(len(j.changes)-first))), j.changes[first:]...)
	return forgotten
}

// size is the memory it takes.
func (j *journal) size() int { return cap(j.changes)*changeSize + j.names }

// before returns the rooms that a socket was in for the event at a place, out of those it is in now.
func (j *journal) before(place uint64, now []string) (in map[string]struct{}, later []change) {
	in = make(map[string]struct{}, len(now)+1)
	for _, room := range now {
		in[room] = struct{}{}
	}
	i := len(j.changes)
	for i > 0 && j.changes[i-1].place >= place {
		i--
		j.changes[i].revert(in)
	}
	return in, j.changes[i:]
}

func (c *change) apply(in map[string]struct{}) { set(in, c.room, !c.left) }

func (c *change) revert(in map[string]struct{}) { set(in, c.room, c.left) }

func set(in map[string]struct{}, room string, member bool) {
	if member {
		in[room] = struct{}{}
	} else {
		delete(in, room)
	}
}
