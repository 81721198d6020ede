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

// Refusal says why a client gets a new socket instead of its session's.
type Refusal struct {
	Result Result
	Why    string // for the log
	// Kicked: a command ended the session while the client was away, and the client is to be told.
	Kicked bool
	// Again: the session stands, or may, and cannot be had at the moment. The client is to try again, with the session.
	Again bool
}

var (
	// RefusedOver is for a session that this node had.
	RefusedOver = &Refusal{Result: Expired, Why: "the session has ended"}
	// RefusedUnknown is for one that it has never had.
	RefusedUnknown = &Refusal{Result: Unknown, Why: "this node has never had the session, nor has any that is alive"}
	refusedKicked  = &Refusal{Result: Refused, Why: "the socket was disconnected by a command meanwhile", Kicked: true}
	refusedMoving  = &Refusal{Result: Refused, Why: "the session may be another node's, which cannot be found out now", Again: true}
	refusedHeld    = &Refusal{Result: Refused, Why: "the session's connection has ended, and has not let go of it yet", Again: true}
	refusedAlive   = &Refusal{Result: Refused, Why: "the session's connection answers a ping"}
	// RefusedLate is for a claim that came to nothing by the moment.
	RefusedLate      = &Refusal{Result: Refused, Why: "a later claim was preferred, or the client left", Again: true}
	refusedTruncated = &Refusal{Result: Truncated, Why: "the log, or the journal of rooms, does not reach back to what the client received last"}
	refusedSpoilt    = &Refusal{Result: Truncated, Why: "what the client names is no offset, and events were sent to it since its last pong"}
	// RefusedUnreached is for a session of a node that is alive and cannot be reached.
	RefusedUnreached = &Refusal{Result: Unreached, Why: "the node that has the session has not been reached for too long"}
	// RefusedWaited is for one that could not be moved for as long as it waits for its client.
	RefusedWaited = &Refusal{Result: Expired, Why: "the session could not be moved until it had ended"}
	// RefusedOther is for a client that has turned out to be another.
	RefusedOther = &Refusal{Result: Refused, Why: "the token is not of the same subject"}
)

// RefusedBy is a refusal of another node's, by the label of its result.
func RefusedBy(label, why string, kicked bool) *Refusal {
	for r, known := range resultLabels {
		if known == label {
			return &Refusal{Result: Result(r), Why: why, Kicked: kicked}
		}
	}
	return &Refusal{Result: Unknown, Why: why, Kicked: kicked}
}

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
			return nil, RefusedOver
		case s == nil:
			l.mu.Unlock()
			return nil, RefusedUnknown
		case s.stage == kicked:
			l.mu.Unlock()
			s.End() // it is told once
			return nil, refusedKicked
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
			return nil, RefusedLate
		case alive:
			return nil, refusedAlive
		}
		s.Release(rival) // if it only claimed it; else it lets go as its connection ends
		late := time.NewTimer(patience)
		select {
		case <-let:
			late.Stop()
		case <-late.C:
			if s.isLeaving() {
				return nil, refusedMoving
			}
			return nil, refusedHeld
		case <-ctx.Done():
			late.Stop()
			return nil, RefusedLate
		}
	}
}

func (s *Session) isLeaving() bool {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.leaving
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
		return nil, refusedKicked
	case s.stage == over:
		return nil, RefusedOver
	case s.claimant != by:
		return nil, RefusedLate
	case !s.reachesLocked(s.from) || s.past.lost && s.past.from < 0:
		return nil, refusedTruncated
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
		return RefusedOver
	}
	n := l.store.parse(l.id, offset)
	if l.store.config.Stream && n.place > l.last { // the client cannot have received it: another text looks like an entry
		n = named{origin: fromStranger}
	}
	s.from = max(s.begin, s.proven)
	if s.past.resolve(l.id, n.log, n.place); s.past.from < 0 {
		return refusedTruncated
	}
	switch n.origin {
	case fromHere:
		s.from = max(s.from, min(n.place, l.last))
	case fromStranger:
		if len(s.past.entries) > 0 {
			return refusedSpoilt
		}
		if !s.reachesLocked(s.from) {
			return refusedTruncated
		}
		r := s.newReader(s.from, s.absent.Rooms(nil))
		for more := true; more; {
			var sent []*entry
			if sent, more = r.missed(nil, s.sent); len(sent) > 0 {
				return refusedSpoilt
			}
		}
	}
	if !s.reachesLocked(s.from) {
		return refusedTruncated
	}
	return nil
}

// reachesLocked reports whether all that came behind a place is kept, with the rooms of that time.
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

// Count counts what became of a claim.
func (l *Log) Count(r Result) {
	if m := l.store.config.Metrics; m != nil {
		m.results[r].Inc()
	}
}
