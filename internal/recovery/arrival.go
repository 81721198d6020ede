package recovery

import (
	"errors"

	"github.com/carillon-io/carillon/internal/recovery/move"
)

// Arrival is a session of another node's on its way here.
type Arrival struct {
	log *Log // static

	// Log.mu guards the following.
	mark  *move.Mark
	from  int // of moving.recorded, where the mark is
	ended bool
}

var (
	errTape    = FailedMemory.As(errors.New("recovery: more arrives than is kept for sessions on their way"))
	errNoFence = FailedFence.As(errors.New("recovery: a fence has not come"))
	errTwice   = errors.New("recovery: the session is here already")
)

// Expect begins the arrival of a session. End ends it, whatever becomes of it.
func (l *Log) Expect() *Arrival {
	l.moving.on.Add(1)
	return &Arrival{log: l}
}

// Record keeps what happens from now on. It is called again for each fence of the owner's, before that is asked for.
func (a *Arrival) Record() {
	l := a.log
	l.mu.Lock()
	defer l.mu.Unlock()
	a.stopLocked()
	a.mark, a.from = l.moving.tape.Begin(), l.moving.recorded
}

// Close notes that this node publishes its closing fence. The caller has the turn.
func (a *Arrival) Close(f move.Fence) {
	a.log.mu.Lock()
	defer a.log.mu.Unlock()
	a.log.moving.tape.Close(f)
}

// Judge works out what the session is now that the owner has handed over with what has come here since. The caller has the
// turn where it then calls Arrive.
func (a *Arrival) Judge(h Handed, b move.Bounds, most int) (Handed, error) {
	l := a.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if int64(l.moving.recorded-a.from) > l.store.config.Bytes/shareOfTape {
		return h, errTape
	}
	s := move.NewSession[*entry](h.Rooms, most)
	s.Events = append(s.Events, h.Events...)
	if a.mark == nil || !l.moving.tape.Judge(a.mark, b, &s) {
		return h, errNoFence
	}
	judged := Handed{Events: s.Events, Kicked: s.Kicked, Away: h.Away, Offset: h.Offset}
	for name := range s.Rooms {
		judged.Rooms = append(judged.Rooms, name)
	}
	return judged, nil
}

// End ends the arrival.
func (a *Arrival) End() {
	a.log.mu.Lock()
	defer a.log.mu.Unlock()
	if !a.ended {
		a.ended = true
		a.stopLocked()
		a.log.moving.on.Add(-1)
	}
}

func (a *Arrival) stopLocked() {
	if a.mark != nil {
		l := a.log
		l.moving.tape.End(a.mark)
		if a.mark = nil; !l.moving.tape.On() {
			l.moving.recorded = 0
		}
	}
}

// Arrive makes a session that was opened here, and has not begun, one that is absent. absent is in its rooms by now. The
// caller has the turn, in which Judge was called.
func (s *Session) Arrive(h Handed, absent Absent) error {
	l, size := s.log, absent.Size()
	l.mu.Lock()
	if l.sessions[s.pid] != nil || s.stage != unborn {
		l.mu.Unlock()
		return errTwice
	}
	l.nextLocked() // a place of its own, that nothing handed over has
	s.stage, s.absent = away, absent
	s.begin, s.proven, s.from, s.sent = l.last, l.last, l.last, l.last
	s.past.end = l.last
	if n := l.store.parse(l.id, h.Offset); n.origin == fromHere || n.origin == fromElsewhere {
		s.past.base = mark{n.log, n.place}
	}
	for _, e := range h.Events {
		s.past.entries = append(s.past.entries, l.shareLocked(e))
	}
	l.sessions[s.pid] = s
	s.size = absentOverhead + size
	l.store.bytes.Add(int64(s.size))
	excess := l.store.left(s, s.size)
	l.store.arrived(s, h.Away)
	l.mu.Unlock()
	for _, victim := range excess {
		victim.End()
	}
	return nil
}

// Knows reports whether the session of a pid is here, or was disconnected here while it was away.
func (l *Log) Knows(pid string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sessions[pid] != nil
}

// AbsentPIDs lists the sessions that are absent and are not on their way to another node, and those that a command has ended, whose
// clients are yet to be sent the disconnect.
func (l *Log) AbsentPIDs() (pids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for pid, s := range l.sessions {
		if s.stage == away && !s.leaving && s.claimant == nil || s.stage == kicked {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Condemn keeps the secret of a session that another node has ended because a command disconnected its socket. The next claim of
// it at this node is refused with ReasonKicked, so that the client is sent the disconnect that it missed. It returns nil where
// the session is known. Its memory counts towards no address's share.
func (l *Log) Condemn(pid string) *Session {
	s := l.Open(pid, "", "")
	l.mu.Lock()
	if l.sessions[pid] != nil {
		l.mu.Unlock()
		s.End()
		return nil
	}
	s.stage, s.size = kicked, absentOverhead
	l.sessions[pid] = s
	l.store.bytes.Add(absentOverhead)
	excess := l.store.left(s, absentOverhead)
	l.mu.Unlock()
	for _, victim := range excess {
		victim.End()
	}
	return s
}

// SetEntry notes under which entry the cluster knows that the session is this node's, and returns the one before.
func (s *Session) SetEntry(entry string) (before string) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	before, s.entry = s.entry, entry
	return before
}

// Entry is under which entry the cluster knows that the session is this node's; empty: under none.
func (s *Session) Entry() string {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.entry
}
