package recovery

import (
	"time"

	"github.com/carillon-io/carillon/internal/recovery/move"
)

// Departure is an absent session that another node fetches. Until Stay or Leave it may be that node's already, so that nothing
// else ends it or has its client resume it.
type Departure struct {
	// Static after construction.
	session *Session
	by      Holder

	cut *move.Cut[*entry] // Log.mu guards it, and its contents
}

// Handed is a session as it is handed to the new node.
type Handed struct {
	Rooms  []string
	Events []*entry // in their order
	Kicked bool
	Away   time.Duration // for how long it has been absent
	Offset string        // that its client has received last, where it is known: it has received none of Events

	log *Log // that hands it over; nil at the new node
}

// Depart begins the departure of a session that by claims; false: the claim is void by now.
func (s *Session) Depart(by Holder) (*Departure, bool) {
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if s.stage != away || s.claimant != by || s.leaving {
		return nil, false
	}
	s.leaving = true
	l.store.returned(s, s.size, 0)
	l.moving.on.Add(1)
	return &Departure{session: s, by: by}, true
}

// Cut begins the cut at a fence that was published in this turn, which the caller has. most is how many rooms a session may
// be in. false: what the client missed is not kept any more, or the departure has ended in the meantime.
func (d *Departure) Cut(most int, f move.Fence, lanes []move.Lane) bool {
	s := d.session
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if !s.leaving || s.claimant != d.by || s.past.from < 0 || !s.reachesLocked(s.from) {
		return false
	}
	now := s.absent.Rooms(nil)
	handed := move.NewSession[*entry](now, most)
	handed.Events = append(handed.Events, s.past.entries[s.past.from:]...)
	r := s.newReader(s.from, now)
	for more := true; more; {
		handed.Events, more = r.missed(handed.Events, l.last)
	}
	d.cut = move.NewCut(handed, f, lanes)
	if l.moving.cuts == nil {
		l.moving.cuts = make(map[*Departure]struct{})
	}
	l.moving.cuts[d] = struct{}{}
	return true
}

// Handed ends the cut, whose fence is back, and returns the session as it is at the fence. missing are rooms of it that are
// not among those that the new node has subscribed to: the fence does not count then, and there may be another Cut.
func (d *Departure) Handed(held []string) (h Handed, missing []string, complete bool) {
	s := d.session
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.moving.cuts, d)
	if d.cut == nil || !d.cut.Complete() {
		return h, nil, false
	}
	at := &d.cut.Session
	h = Handed{Events: at.Events, Kicked: at.Kicked, Away: time.Duration(l.store.now() - s.since), log: l}
	for name := range at.Rooms {
		h.Rooms = append(h.Rooms, name)
	}
	if base := s.past.base; base != (mark{}) {
		h.Offset = l.store.offset(base.log, base.place)
	}
	return h, d.cut.Missing(held), true
}

// Stay ends the departure of a session that stays: what would have ended it meanwhile ends it now.
func (d *Departure) Stay() {
	s := d.session
	l := s.log
	l.mu.Lock()
	if !s.leaving {
		l.mu.Unlock()
		return
	}
	d.overLocked()
	if s.claimant == d.by {
		s.claimant = nil
	}
	s.letGoLocked()
	l.store.relist(s)
	ending := s.ending
	s.ending = nil
	l.mu.Unlock()
	if ending != nil {
		ending()
	}
}

// Leave ends the session here: it is another node's. It returns what stood for it.
func (d *Departure) Leave() Absent {
	s := d.session
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if !s.leaving {
		return nil
	}
	d.overLocked()
	s.stage = over
	absent := s.absent
	s.claimant, s.absent, s.ending = nil, nil, nil
	s.letGoLocked()
	l.store.bytes.Add(-int64(s.size))
	l.store.charge(s.account, -s.charged)
	s.journal, s.charged, s.size = journal{}, 0, 0
	s.forgetPastLocked()
	s.unlistLocked()
	return absent
}

func (d *Departure) overLocked() {
	d.session.leaving = false
	delete(d.session.log.moving.cuts, d)
	d.session.log.moving.on.Add(-1)
}
