package recovery

import (
	"context"
	"strings"
	"time"
)

// Result is what became of a claim. It is a metric label: a closed set.
type Result uint8

// The results.
const (
	Recovered Result = iota
	Moved            // from another node
	Expired          // the session has ended
	Unknown          // no session of this node
	Refused          // the session is another's: its connection is alive, another claim was faster, or the rules say so
	Truncated        // what the client missed is not kept any more
	Unreached        // another node has the session, and could not be reached for too long
	results
)

var resultLabels = [results]string{
	Recovered: "recovered", Moved: "moved", Expired: "expired", Unknown: "unknown", Refused: "refused", Truncated: "truncated",
	Unreached: "unreached",
}

// String is the label.
func (r Result) String() string { return resultLabels[r] }

// patience is how long the connection that holds a session, or claims it, has for answering a ping when another claims it.
const patience = time.Second

// Claim reserves a session for a connection until Resume or Release. It waits, for a second and a little more, where
// another connection holds or claims the session: one that still answers keeps it, any other is ended. own says how pids of
// this node begin.
func (l *Log) Claim(ctx context.Context, c Claim, by Holder, own string) (*Session, *Refusal) {
	for {
		l.mu.Lock()
		s := l.sessions[c.PID]
		switch {
		case s == nil && strings.HasPrefix(c.PID, own):
			l.mu.Unlock()
			return nil, ReasonEnded.Refusal()
		case s == nil:
			l.mu.Unlock()
			return nil, ReasonNeverHad.Refusal()
		case s.stage == kicked:
			l.mu.Unlock()
			s.End() // the client is sent the disconnect once
			return nil, ReasonKicked.Refusal()
		}
		rival := s.claimant
		if rival == nil {
			rival = s.holder
		}
		if rival == nil {
			refused := s.resolveLocked(c.Offset)
			if refused == nil {
				s.claimant = by
			}
			l.mu.Unlock()
			if refused != nil {
				s.End() // a new session takes its place
				return nil, refused
			}
			return s, nil
		}
		if s.let == nil {
			s.let = make(chan struct{})
		}
		let := s.let
		l.mu.Unlock()

		switch alive, ok := alive(ctx, rival); {
		case !ok:
			return nil, ReasonLate.Refusal()
		case alive:
			return nil, ReasonAlive.Refusal()
		}
		s.Release(rival) // if it only claimed it; else it lets go as its connection ends
		late := time.NewTimer(patience)
		select {
		case <-let:
			late.Stop()
		case <-late.C:
			return nil, ReasonLate.Refusal()
		case <-ctx.Done():
			late.Stop()
			return nil, ReasonLate.Refusal()
		}
	}
}

// alive asks a connection for a sign of life; ok is false where ctx ended before the answer.
func alive(ctx context.Context, h Holder) (alive, ok bool) {
	answer := make(chan bool, 1)
	h.Alive(patience, func(alive bool) { answer <- alive })
	select {
	case alive := <-answer:
		return alive, true
	case <-ctx.Done():
		return false, false
	}
}

// Release gives up a claim, unless the session departs: only Stay or Leave end that.
func (s *Session) Release(by Holder) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if s.claimant == by && !s.leaving {
		s.claimant = nil
		s.letGoLocked()
	}
}

// Resume has a connection take the session that it claims, and calls swap, which puts the connection in the place of what
// stood for the session. replay is nil where nothing was missed; the caller calls its Run when the turn is over. The caller
// has the turn.
func (s *Session) Resume(by Holder, sink Sink, swap func()) (replay *Replay, refused *Refusal) {
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case s.stage == kicked:
		return nil, ReasonKicked.Refusal()
	case s.stage == over:
		return nil, ReasonEnded.Refusal()
	case s.claimant != by:
		return nil, ReasonLate.Refusal()
	case s.past.lost && s.past.from < 0:
		return nil, ReasonLog.Refusal()
	}
	if refused := s.lackLocked(s.from); refused != nil {
		return nil, refused
	}
	now := s.absent.Rooms(nil)
	swap()
	s.takeLocked(resume)
	s.holder, s.claimant, s.absent = by, nil, nil
	l.store.returned(s, s.size, 0)
	l.store.bytes.Add(int64(s.charged - s.size))
	s.size = 0
	s.liveAt = l.store.now()
	r := &Replay{session: s, sink: sink, reader: s.newReader(s.from, now)}
	if s.past.from < len(s.past.entries) {
		r.past = s.past.entries[s.past.from:]
	}
	s.replay = r
	if _, state := r.drawLocked(1); state == drawnAll {
		s.replay = nil
		return nil, nil
	}
	return r, nil
}

// resolveLocked finds out what the client of an absent session has received.
func (s *Session) resolveLocked(offset string) *Refusal {
	l := s.log
	if l.store.now()-s.since > int64(l.store.config.Window) {
		return ReasonEnded.Refusal()
	}
	n := l.store.parse(l.id, offset)
	if l.store.config.Stream && n.place > l.last { // the client cannot have received it: another text looks like an entry
		n = named{origin: fromStranger}
	}
	s.from = max(s.begin, s.proven)
	if s.past.resolve(l.id, n.log, n.place); s.past.from < 0 {
		return ReasonLog.Refusal()
	}
	switch n.origin {
	case fromHere:
		s.from = max(s.from, min(n.place, l.last))
	case fromStranger:
		if len(s.past.entries) > 0 {
			return ReasonOffset.Refusal()
		}
		if refused := s.lackLocked(s.from); refused != nil {
			return refused
		}
		r := s.newReader(s.from, s.absent.Rooms(nil))
		for more := true; more; {
			var sent []*entry
			if sent, more = r.missed(nil, s.sent); len(sent) > 0 {
				return ReasonOffset.Refusal()
			}
		}
	}
	return s.lackLocked(s.from)
}

// lackLocked refuses a session that cannot be replayed from a place on, because the log or the journal of rooms begins after it;
// nil: it can.
func (s *Session) lackLocked(place uint64) *Refusal {
	switch {
	case s.reachesLocked(place):
		return nil
	case place >= s.log.trimmed && place < s.floor:
		return ReasonJournal.Refusal()
	}
	return ReasonLog.Refusal()
}

// reachesLocked reports whether every event after a place is kept, with the rooms of that time.
func (s *Session) reachesLocked(place uint64) bool {
	return place >= s.log.trimmed && place >= s.floor && !s.holed
}

// Offset is the number for an event to the client of a session that it claims and has not got yet: the one it came with.
func (s *Session) Offset() string {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if n := s.past.from; n > 0 && n < len(s.past.entries) {
		return s.past.entries[n-1].offset
	}
	return s.log.store.offset(s.log.id, s.from)
}

// Count counts a claim that was granted.
func (l *Log) Count(r Result) {
	if m := l.store.config.Metrics; m != nil {
		m.results[r].Inc()
	}
}

// CountRefusal counts a client that gets a new socket.
func (l *Log) CountRefusal(r *Refusal) {
	l.Count(r.Result())
	if m := l.store.config.Metrics; m != nil {
		m.refusals[r.Reason].Inc()
	}
}
