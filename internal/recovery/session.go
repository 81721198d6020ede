package recovery

import (
	"container/list"
	"time"
)

// Session is what a socket keeps while its connection is broken.
type Session struct {
	// Static after construction.
	log     *Log
	pid     string
	id      string // of the socket
	account *account

	// Log.mu guards the following.
	stage    stage
	holder   Holder        // the connection that it is held by; nil: none
	claimant Holder        // the connection that claims it; nil: none
	absent   Absent        // what stands for it while it is absent
	let      chan struct{} // closed when the holder lets go; nil until a claim waits for that
	begin    uint64        // the newest place when it began: nothing up to it was for this session
	floor    uint64        // what rooms it was in up to this place is not known any more
	proven   uint64        // its client has received all up to this place
	from     uint64        // a claimant has received all up to this place
	sent     uint64        // absent: it was sent nothing beyond this place
	liveAt   int64         // since when it is sent events as they come
	replay   *Replay       // while it is sent events from the log
	journal  journal
	own      places // of events to it alone
	past     past   // what it was handed over when it came from another node
	holed    bool   // its client may lack an event that this node has missed, too
	leaving  bool   // it may be another node's already: nothing ends it until that is known
	ending   func() // what would have ended it meanwhile; nil: nothing
	told     func() // kicked: called once it is over; nil: nothing is
	entry    string // among those of sessions that have moved; empty: none
	charged  int    // bytes of the journal that count in the store
	size     int    // away: bytes that count in the store, charged among them

	// Store.mu guards the following.
	since   int64         // when it became absent
	weight  int64         // what it counted for its address then
	place   *list.Element // among the absent of the store
	ofPayer *list.Element // among those of its address
}

// stage is how far the life of a session has come.
type stage uint8

const (
	unborn stage = iota // its first connection has not been answered yet
	held                // by a connection
	away                // the connection broke
	kicked              // disconnected while it was away: the client is to be sent the disconnect
	over
	stages
)

// step is what happens to a session.
type step uint8

const (
	start  step = iota // its first connection is answered
	lose               // its connection breaks
	resume             // another connection takes it
	kick               // a command disconnects it
	finish             // it ends in any other way
	steps
)

// next is the stage that a step leads to; stages: it changes nothing.
var next = [stages][steps]stage{
	//       start   lose    resume  kick    finish
	unborn: {held, stages, stages, stages, over},
	held:   {stages, away, stages, kicked, over},
	away:   {stages, stages, held, kicked, over},
	kicked: {stages, stages, stages, stages, over},
	over:   {stages, stages, stages, stages, stages},
}

// take takes a step, and reports the stage before it and whether the step led anywhere.
func (s *Session) takeLocked(t step) (was stage, ok bool) {
	was = s.stage
	if next[was][t] == stages {
		return was, false
	}
	s.stage = next[was][t]
	return was, true
}

// Holder is a connection that holds a session, or claims it. No method blocks.
type Holder interface {
	// Alive asks the client for a sign of life and calls answer once, on another goroutine. false: there was none within
	// the time, and the connection has been ended.
	Alive(within time.Duration, answer func(alive bool))
	// Proof is when the last ping was sent that the client has answered: it has received all that was sent before. Zero:
	// it has answered none.
	Proof() time.Time
}

// Absent stands for a session in its namespace while no connection does.
type Absent interface {
	// Rooms appends the rooms that the session is in, its own among them. It is called while the log is frozen.
	Rooms(dst []string) []string
	// Size is the memory that it holds, in bytes.
	Size() int
	// Over is called once, on a goroutine of its own, when the session ends without having been claimed. It may block.
	Over(kicked bool)
}

// Open makes the session of a new socket. Nobody can claim it before Start.
func (l *Log) Open(pid, id, address string) *Session {
	return &Session{log: l, pid: pid, id: id, account: l.store.account(address)}
}

// PID is the secret that a client claims the session with.
func (s *Session) PID() string { return s.pid }

// ID is the id of its socket.
func (s *Session) ID() string { return s.id }

// Start makes the session one that can be lost and claimed. The caller has the turn.
func (s *Session) Start(by Holder) {
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := s.takeLocked(start); !ok {
		return
	}
	s.holder = by
	s.begin, s.proven, s.liveAt = l.last, l.last, l.store.now()
	l.sessions[s.pid] = s
}

// Stands reports whether the session has begun and is not over.
func (s *Session) Stands() bool {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.standsLocked()
}

// standsLocked is Stands.
func (s *Session) standsLocked() bool { return s.stage == held || s.stage == away }

// Absent is what stands for the session while no connection does; else nil.
func (s *Session) Absent() Absent {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.absent
}

// Lose notes that the connection which holds the session broke. It reports false when it cannot be claimed: the caller
// ends it then.
func (s *Session) Lose(by Holder, a Absent) bool {
	l, size := s.log, a.Size()
	l.mu.Lock()
	if s.stage != held || s.holder != by {
		l.mu.Unlock()
		return false
	}
	s.proven = s.provenLocked()
	s.sent = l.last
	if s.replay != nil {
		s.sent = s.replay.reader.next - 1
		s.replay = nil
	}
	s.takeLocked(lose)
	s.holder, s.absent = nil, a
	s.letGoLocked()
	s.size = absentOverhead + size + s.charged
	l.store.bytes.Add(int64(s.size - s.charged))
	excess := l.store.left(s, s.size)
	l.mu.Unlock()
	for _, victim := range excess {
		victim.End()
	}
	if l.store.over() {
		l.store.shrink()
	}
	return true
}

// absentOverhead is what an absent session takes beside what stands for it, and what the store keeps of it.
const absentOverhead = 512

func (s *Session) letGoLocked() {
	if s.let != nil {
		close(s.let)
		s.let = nil
	}
}

// End ends the session. If it was absent, Absent.Over is called.
func (s *Session) End() { s.end(finish, nil, nil) }

// Kick ends a session that is absent, or whose connection broke and has not said so yet, because a command disconnects its
// socket: the client is sent the disconnect when it comes back. It changes nothing where another connection has the session by now.
func (s *Session) Kick(by Holder, a Absent) { s.end(kick, by, a) }

func (s *Session) end(t step, by Holder, a Absent) {
	l := s.log
	l.mu.Lock()
	if s.leaving {
		if s.ending == nil || t == kick {
			s.ending = func() { s.end(t, by, a) }
		}
		l.mu.Unlock()
		return
	}
	if t == kick && (s.stage == held && s.holder != by || s.stage == away && s.absent != a) {
		l.mu.Unlock()
		return
	}
	was, ok := s.takeLocked(t)
	if !ok {
		l.mu.Unlock()
		return
	}
	absent := s.absent
	s.holder, s.claimant, s.absent, s.replay = nil, nil, nil, nil
	s.letGoLocked()
	size, kept := s.size, 0
	if s.stage == kicked {
		kept = absentOverhead
	}
	l.store.bytes.Add(int64(kept - max(s.size, s.charged)))
	l.store.charge(s.account, -s.charged)
	s.journal, s.charged, s.size = journal{}, 0, kept
	s.forgetPastLocked()
	switch {
	case was == away || was == kicked:
		l.store.returned(s, size, kept)
	case kept > 0:
		l.store.left(s, kept)
	}
	if s.stage == over {
		s.unlistLocked()
	}
	told := s.told
	if s.stage == over {
		s.told = nil
	}
	l.mu.Unlock()
	if was == away {
		l.store.running.Go(func() { absent.Over(t == kick) })
	}
	if was == kicked && told != nil {
		told()
	}
}

// unlistLocked has a session that is over found no more. Where it never began, the pid may be that of another, which stays.
func (s *Session) unlistLocked() {
	if s.log.sessions[s.pid] == s {
		delete(s.log.sessions, s.pid)
	}
	s.log.store.leave(s.account)
}

// Told has f called once the client of a session that was kicked has been told, or its window is over; at once where the session
// is over. It does nothing for a session that stands. f must not block.
func (s *Session) Told(f func()) {
	s.log.mu.Lock()
	if s.stage == kicked {
		s.told = f
	}
	over := s.stage == over
	s.log.mu.Unlock()
	if over {
		f()
	}
}

// EndAbsent ends the sessions of the namespace that are absent.
func (l *Log) EndAbsent() {
	l.mu.Lock()
	var all []*Session
	for _, s := range l.sessions {
		if s.stage == away {
			all = append(all, s)
		}
	}
	l.mu.Unlock()
	for _, s := range all {
		s.End()
	}
}

// provenLocked is the place up to which the client is known to have received everything.
func (s *Session) provenLocked() uint64 {
	if s.stage != held || s.replay != nil {
		return s.proven
	}
	if proof := s.holder.Proof(); !proof.IsZero() {
		if at := s.log.store.since(proof); at > s.liveAt {
			s.proven = max(s.proven, s.log.placeAtLocked(at))
			s.provePastLocked()
		}
	}
	return s.proven
}

// Changed notes that the session's socket has joined a room, or left it. The caller has frozen the log.
func (s *Session) Changed(room string, left bool) {
	if !s.standsLocked() {
		return
	}
	if s.journal.full() {
		s.pruneLocked()
	}
	s.journal.add(change{s.log.last, room, left})
	s.chargeLocked()
	if s.log.store.affordsJournal(s.account) {
		return
	}
	s.pruneLocked()
	if s.chargeLocked(); !s.log.store.affordsJournal(s.account) {
		s.journal, s.floor = journal{}, s.log.last // the client can come back once it has received more, or a pong says so
		s.chargeLocked()
	}
}

// pruneLocked forgets what the client has received all events of, and of a long journal the oldest.
func (s *Session) pruneLocked() {
	needed := s.provenLocked()
	if s.replay != nil {
		needed = min(needed, s.replay.reader.next-1)
	}
	s.floor = max(s.floor, s.journal.prune(needed))
}

// chargeLocked counts what the journal has grown by.
func (s *Session) chargeLocked() {
	grown := s.journal.size() - s.charged
	if grown == 0 {
		return
	}
	s.charged += grown
	if s.stage == away {
		s.size += grown
		if !s.leaving { // else it counts for nothing until it stays
			s.account.bytes.Add(int64(grown))
		}
	}
	s.log.store.bytes.Add(int64(grown))
	s.log.store.charge(s.account, grown)
}
