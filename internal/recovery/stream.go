package recovery

import (
	"strconv"
	"strings"
	"time"
)

// Where the cluster keeps one order for the events of all nodes (Config.Stream), the offset of an event is the id of its entry
// in a stream: milliseconds, a dash and a serial number. Its place follows from the id and is the same on every node; places
// that are odd are between two entries.
const (
	serialBits = 20
	timeBits   = 63 - serialBits
)

// placeOf is the place of an entry; false: the text is no id of one.
func placeOf(id string) (place uint64, ok bool) {
	left, right, _ := strings.Cut(id, "-")
	at, err := strconv.ParseUint(left, 10, timeBits)
	if err != nil || left[0] == '+' {
		return 0, false
	}
	serial, err := strconv.ParseUint(right, 10, serialBits)
	if err != nil || right[0] == '+' {
		return 0, false
	}
	return at<<(serialBits+1) | serial<<1, true
}

// idOf is the id of the entry at a place, or right before it.
func idOf(place uint64) string {
	b := strconv.AppendUint(make([]byte, 0, 24), place>>(serialBits+1), 10)
	return string(strconv.AppendUint(append(b, '-'), place>>1&(1<<serialBits-1), 10))
}

// IsEntry reports whether a client's offset is the id of an entry.
func IsEntry(offset string) bool {
	_, ok := placeOf(offset)
	return ok
}

// Reach notes that everything up to an entry has been delivered, to whichever recipients. The caller holds the turn. An entry that
// does not come behind those before it, as after Redis lost some, has no place: no client can come back that was behind it.
func (l *Log) Reach(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reachLocked(id)
}

func (l *Log) reachLocked(id string) (placed bool) {
	place, ok := placeOf(id)
	switch {
	case ok && place > l.last:
		l.last, l.text = place, id
		return true
	case ok && place == l.last:
		return true
	}
	return false
}

// unplacedLocked has all clients begin anew that have not received what follows.
func (l *Log) unplacedLocked() {
	l.last |= 1
	for _, s := range l.sessions {
		s.floor = l.last
	}
}

// Missed notes that events may have been missed since the last one: the sessions that this log has cannot be recovered any more,
// and a Recording that is under way fails. The caller holds the turn.
func (l *Log) Missed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.sessions {
		s.holed = true
	}
	l.recordings.holes++
}

// At is the newest place as an offset; empty: there is none yet.
func (l *Log) At() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last <= 1 {
		return ""
	}
	return idOf(l.last)
}

// nextLocked goes on to a place that no event has.
func (l *Log) nextLocked() {
	if l.store.config.Stream {
		l.last |= 1
	} else {
		l.last++
	}
}

// Before reports whether an entry comes before another. An empty text comes before all.
func Before(a, b string) bool {
	x, _ := placeOf(a)
	y, _ := placeOf(b)
	return x < y
}

// Earlier is the first id of the time that is so long before an entry's.
func Earlier(id string, d time.Duration) string {
	place, _ := placeOf(id)
	at := place >> (serialBits + 1)
	return idOf((at - min(at, uint64(d.Milliseconds()))) << (serialBits + 1))
}

// Lose ends the session of a pid here without Over, because another server has had it since, and has the connection go that
// holds it.
func (l *Log) Lose(pid string) {
	l.mu.Lock()
	s := l.sessions[pid]
	l.mu.Unlock()
	if s == nil {
		return
	}
	if lost, ok := s.stand().(interface{ Lost() }); ok {
		lost.Lost()
	}
}

// stand is what stands for the session, or holds it.
func (s *Session) stand() any {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	if s.absent != nil {
		return s.absent
	}
	return s.holder
}

// Forget ends the session here: it is another server's. It returns what stood for it, or the connection that held it, which are not
// called any more; both are nil where the session was over.
func (s *Session) Forget() (a Absent, h Holder) {
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if !s.standsLocked() {
		return nil, nil
	}
	away := s.stage == away
	a, h = s.absent, s.holder
	s.stage = over
	s.holder, s.claimant, s.absent, s.replay = nil, nil, nil, nil
	s.letGoLocked()
	if away {
		l.store.returned(s, s.size, 0)
	}
	l.store.bytes.Add(-int64(max(s.size, s.charged)))
	l.store.charge(s.account, -s.charged)
	s.journal, s.charged, s.size = journal{}, 0, 0
	s.forgetPastLocked()
	s.unlistLocked()
	return a, h
}
