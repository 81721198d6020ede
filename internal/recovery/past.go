package recovery

// past is what a session has to be sent that is not in the order of the log: what it was handed over when it came from another
// node, and what came here meanwhile. The session's rooms and places in the log count from its end on. Log.mu guards it.
type past struct {
	entries []*entry // each shared
	base    mark     // that the client named when it was handed over: it had received none of entries
	from    int      // a claimant has received entries[:from]; -1: they are not kept any more
	end     uint64   // the place in the log that it ends at; 0: the session has none
	lost    bool     // entries were dropped before the client is known to have received them
}

// find returns how many entries a client has received that names an offset. Behind an entry there may be some with earlier
// places of the same log: what this node published waited for its closing fence. The place of no entry is one at which a
// volatile event was sent while the session was that log's: all before it had been.
func (p *past) find(log logID, place uint64) (received int) {
	if p.base == (mark{log, place}) {
		return 0
	}
	for i, e := range p.entries {
		if e.log == log && e.place == place {
			return i + 1
		}
		if e.log == log && e.place < place {
			received = i + 1
		}
	}
	return received
}

// resolve works out what a client has received that names an offset, which is of log if that is known. It returns false if
// the offset is of a place behind all of it, in the log of this node.
func (p *past) resolve(own, log logID, place uint64) (inside bool) {
	switch {
	case p.end == 0 || log == own && place >= p.end:
		p.from = len(p.entries)
		return false
	case p.lost:
		p.from = -1
	default:
		p.from = p.find(log, place)
	}
	return true
}

// mark names an entry on all nodes.
type mark struct {
	log   logID
	place uint64
}

// shared is an entry that several pasts hold, counted once.
type shared struct {
	entry *entry
	users int
}

// shareLocked returns the entry that all pasts hold in the place of e, with one more user.
func (l *Log) shareLocked(e *entry) *entry {
	m := mark{e.log, e.place}
	have := l.moving.shared[m]
	if have == nil {
		if l.moving.shared == nil {
			l.moving.shared = make(map[mark]*shared)
		}
		have = &shared{entry: e}
		l.moving.shared[m] = have
		l.store.bytes.Add(int64(e.size))
	}
	have.users++
	return have.entry
}

// forgetPastLocked drops what the session was handed over.
func (s *Session) forgetPastLocked() {
	l := s.log
	for _, e := range s.past.entries {
		m := mark{e.log, e.place}
		have := l.moving.shared[m]
		if have.users--; have.users == 0 {
			delete(l.moving.shared, m)
			have.entry.drop(l)
		}
	}
	s.past.entries = nil
}

// provePastLocked notes that the client has received all that the session was handed over.
func (s *Session) provePastLocked() {
	s.forgetPastLocked()
	s.past.lost = false
}

// dropPast drops what the session was handed over, because it is too old or takes too much.
func (s *Session) dropPast() {
	l := s.log
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(s.past.entries) > 0 {
		s.past.lost = true
		s.forgetPastLocked()
	}
}
