package recovery

import (
	"cmp"
	"maps"
	"slices"
)

// reader goes through what a session has missed. Log.mu guards it.
type reader struct {
	session *Session
	next    uint64              // the first place that it has not looked at
	in      map[string]struct{} // the rooms at that place
	after   uint64              // the changes behind this place are not in it yet
}

// newReader reads on behind a place. now are the session's present rooms.
func (s *Session) newReader(from uint64, now []string) reader {
	in, _ := s.journal.before(from+1, now)
	return reader{session: s, next: from + 1, in: in, after: from + 1}
}

// clone returns a reader that goes on by itself.
func (r *reader) clone() reader {
	other := *r
	other.in = maps.Clone(r.in)
	return other
}

// readAhead is how many places of each room are looked at in one go.
const readAhead = 64

// missed appends the next entries for the session to dst, up to a place and some dozens at a time, and goes on behind them.
// It reports false when it has seen all.
func (r *reader) missed(dst []*entry, through uint64) ([]*entry, bool) {
	s, l := r.session, r.session.log
	// The candidates are the places of everyone's events, of those to this session alone, and of the rooms it was in at any
	// time. Only up to the first place that one of the lists was cut at are they complete.
	horizon := through
	var candidates []uint64
	look := func(p *places) {
		if p == nil {
			return
		}
		list := p.from(r.next)
		if len(list) > readAhead {
			list = list[:readAhead]
			horizon = min(horizon, list[readAhead-1])
		}
		candidates = append(candidates, list...)
	}
	look(&l.everyone)
	look(&s.own)
	for room := range r.in {
		look(l.rooms[room])
	}
	for _, c := range r.changes() {
		if !c.left {
			look(l.rooms[c.room])
		}
	}
	slices.Sort(candidates)
	for _, place := range slices.Compact(candidates) {
		if place > horizon {
			break
		}
		r.moveTo(place)
		if e := l.entryLocked(place); e.isFor(s, r.in) {
			dst = append(dst, e)
		}
	}
	more := horizon < through
	r.moveTo(horizon + 1)
	r.next = horizon + 1
	return dst, more
}

// moveTo makes the rooms those for the event at a place.
func (r *reader) moveTo(place uint64) {
	for _, c := range r.changes() {
		if c.place >= place {
			break
		}
		c.apply(r.in)
	}
	r.after = max(r.after, place)
}

// changes are those that are not in the rooms yet.
func (r *reader) changes() []change {
	all := r.session.journal.changes
	i, _ := slices.BinarySearchFunc(all, r.after, func(c change, place uint64) int { return cmp.Compare(c.place, place) })
	return all[i:]
}
