package recovery

import (
	"cmp"
	"crypto/rand"
	"slices"
	"sync"
	"time"
)

// Log holds the events of one namespace on one node, in the order in which this node delivers them.
type Log struct {
	// Static after construction.
	store *Store
	name  string // of the namespace
	id    logID

	// order is held from the place that an event gets until it is queued for its last recipient and for the cluster, so
	// that every client, the log and the cluster have the events of this node in one order.
	order sync.Mutex
	after []func() // to be called once order is released; order guards it

	mu sync.Mutex
	// mu guards the following, and what sessions say it guards. It is held across changes of who is in which room.
	entries   []*entry // entries[head:] are kept, by place
	head      int
	last      uint64 // the newest place; 0: there was none
	text      string // of the newest place
	trimmed   uint64 // the newest place that is no longer kept
	trimmedAt int64  // when its event was queued for its last recipient
	rooms     map[string]*places
	everyone  places
	sessions  map[string]*Session // by pid
	moving    moving

	recordings recordings
	bans       bans
}

// Log makes the log of a namespace.
func (s *Store) Log(nsp string) *Log {
	l := &Log{store: s, name: nsp, rooms: make(map[string]*places), sessions: make(map[string]*Session)}
	_, _ = rand.Read(l.id[:]) // never fails: the runtime ends the process instead
	l.text = s.offset(l.id, 0)
	return l
}

// Begin waits for its turn to deliver events; End ends it. In between places are given, and clients join and leave the
// order of delivery.
func (l *Log) Begin() { l.order.Lock() }

// End ends the turn, and does what has waited for that.
func (l *Log) End() {
	after := l.after
	l.after = nil
	l.order.Unlock()
	for _, f := range after {
		f()
	}
	if l.store.over() {
		l.store.shrink()
	}
}

// After has f called when the turn is over: f may do what would wait for a turn. Only the owner of the turn may call it.
func (l *Log) After(f func()) { l.after = append(l.after, f) }

// Order is Begin and End as a Locker.
func (l *Log) Order() sync.Locker { return (*turn)(l) }

type turn Log

// Lock is Begin.
func (t *turn) Lock() { (*Log)(t).Begin() }

// Unlock is End.
func (t *turn) Unlock() { (*Log)(t).End() }

// Freeze keeps all sockets of the namespace in their rooms until Thaw, for the moment in which an event gets its place or a
// socket joins or leaves.
func (l *Log) Freeze() { l.mu.Lock() }

// Thaw ends Freeze.
func (l *Log) Thaw() { l.mu.Unlock() }

// Append gives an event a place, and returns its offset: empty for an event to a session that is over. The caller has the
// turn and has frozen the rooms.
func (l *Log) Append(e Event) (offset string) {
	if e.Session != nil && !e.Session.standsLocked() {
		return ""
	}
	switch {
	case !l.store.config.Stream:
		l.last++
		l.text = l.store.offset(l.id, l.last)
	case !l.reachLocked(e.Offset):
		l.unplacedLocked()
		return l.text
	}
	kept := newEntry(e)
	kept.log, kept.place, kept.offset = l.id, l.last, l.text
	if e.Session != nil {
		if kept.payer = e.Session.account; !l.store.affords(kept.payer, kept.size) {
			e.Session.floor = l.last // it cannot be sent again
			return l.text
		}
	}
	l.entries = append(l.entries, kept)
	switch target := kept.event.Target.Rooms; {
	case e.Session != nil:
		e.Session.own.add(l.last)
	case len(target) == 0:
		l.everyone.add(l.last)
	default:
		for _, room := range target {
			l.roomLocked(room).add(l.last)
		}
	}
	l.store.appended(l, kept)
	return l.text
}

func (l *Log) roomLocked(name string) *places {
	p := l.rooms[name]
	if p == nil {
		p = new(places)
		l.rooms[name] = p
	}
	return p
}

// Delivered notes that the newest event is queued for all its recipients. The caller has the turn.
func (l *Log) Delivered() {
	now := l.store.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.entries); n > l.head && l.entries[n-1].at == 0 {
		l.entries[n-1].at = now
	}
}

// Present is the offset of the newest event: every recipient has been sent all up to it. The caller has the turn.
func (l *Log) Present() (offset string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text
}

// entryLocked returns the entry of a place that is kept.
func (l *Log) entryLocked(place uint64) *entry {
	kept := l.entries[l.head:]
	i, _ := slices.BinarySearchFunc(kept, place, func(e *entry, place uint64) int { return cmp.Compare(e.place, place) })
	return kept[i]
}

// placeAtLocked returns the newest place that was queued for all its recipients before a moment; 0 when that is not known
// any more.
func (l *Log) placeAtLocked(at int64) uint64 {
	low, high := 0, len(l.entries)-l.head // the first entry that was not
	for low < high {
		middle := (low + high) / 2
		if e := l.entries[l.head+middle]; e.at != 0 && e.at < at {
			low = middle + 1
		} else {
			high = middle
		}
	}
	switch {
	case low > 0:
		return l.entries[l.head+low-1].place
	case l.trimmedAt < at:
		return l.trimmed
	}
	return 0
}

// dropThrough drops the events up to a place.
func (l *Log) dropThrough(place uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.trimmed < place && l.head < len(l.entries) {
		e := l.entries[l.head]
		l.entries[l.head] = nil
		l.head++
		l.trimmed, l.trimmedAt = e.place, max(e.at, l.trimmedAt)
		switch {
		case e.event.Session != nil:
			e.event.Session.own.removeThrough(e.place)
		case len(e.event.Target.Rooms) == 0:
			l.everyone.removeThrough(e.place)
		default:
			for _, room := range e.event.Target.Rooms {
				if p := l.rooms[room]; p != nil && !p.removeThrough(e.place) {
					delete(l.rooms, room)
				}
			}
		}
		e.drop(l)
	}
	switch {
	case l.head == len(l.entries):
		l.entries, l.head = nil, 0
		l.everyone = places{}
		if len(l.rooms) == 0 {
			l.rooms = make(map[string]*places) // a map never shrinks by itself
		}
	case l.head > len(l.entries)/2:
		l.entries = append(make([]*entry, 0, len(l.entries)-l.head), l.entries[l.head:]...)
		l.head = 0
	}
}

// since is a moment as logs keep it.
func (s *Store) since(t time.Time) int64 { return int64(t.Sub(s.epoch)) }
