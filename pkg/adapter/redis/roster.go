package redis

import "time"

const (
	// silence is how long nobody waits for a node that left a question unanswered.
	silence = 30 * time.Second
	// ghostTime is how long a node without heartbeats is remembered: longer than Redis keeps the connection of a machine
	// that has vanished, which goes on to be counted as a subscriber.
	ghostTime = 10 * time.Minute
)

// roster knows which nodes send heartbeats, and which nodes of any kind have left questions unanswered. It decides whom
// a query waits for. It is a pure state machine and not safe for concurrent use.
type roster struct {
	peers  map[string]*peer  // by node id; not ourselves
	absent map[string]absent // by namespace
}

// peer is another node of ours.
type peer struct {
	member

	seenAt      time.Time // its last heartbeat, by our clock
	silentUntil time.Time
	lapsed      bool // has been reported as gone
}

func (p *peer) live(now time.Time) bool { return !p.Left && now.Sub(p.seenAt) < heartbeatExpiry }

// absent is how many of a namespace's nodes without heartbeats are silent. Nobody can tell which.
type absent struct {
	silent, of int
	until      time.Time
}

func newRoster() *roster {
	return &roster{peers: make(map[string]*peer), absent: make(map[string]absent)}
}

// heard takes in everybody who has a heartbeat in Redis now. A node that is missing from it once may only have to say
// so again, as after Redis came back empty; gone are those that have left, or have been missing for as long as a
// heartbeat lasts.
func (r *roster) heard(members []member, now time.Time) (joined, gone []member) {
	for _, m := range members {
		p := r.peers[m.ID]
		if p == nil {
			p = &peer{lapsed: true}
			r.peers[m.ID] = p
		}
		p.member, p.seenAt = m, now
		if p.lapsed && p.live(now) {
			p.lapsed = false
			joined = append(joined, m)
		}
	}
	for id, p := range r.peers {
		switch {
		case now.Sub(p.seenAt) >= ghostTime:
			delete(r.peers, id)
		case !p.live(now) && !p.lapsed:
			p.lapsed = true
			gone = append(gone, p.member)
		}
	}
	return joined, gone
}

// known are all peers that may have a connection to Redis, and which of them are alive.
func (r *roster) known(now time.Time) (all []member, live map[string]bool) {
	live = make(map[string]bool, len(r.peers))
	for id, p := range r.peers {
		all = append(all, p.member)
		live[id] = p.live(now)
	}
	return all, live
}

// count is how many live nodes there are, this one included.
func (r *roster) count(now time.Time) int {
	n := 1
	for _, p := range r.peers {
		if p.live(now) {
			n++
		}
	}
	return n
}

// expectation is whose answers belong to a query, and whose it waits for.
type expectation struct {
	named   map[string]bool // nodes with heartbeats; true: waited for
	others  int             // nodes without
	excused int             // how many of the others are not waited for
}

// expect judges the subscribers to requests in a namespace: how many there are besides ourselves, and which of the known
// peers are among them. A peer without heartbeats is a connection that nobody answers on. Nobody waits for those that
// are cut off: they have not heard the question.
func (r *roster) expect(nsp string, subscribers int, present, cutOff []string, now time.Time) expectation {
	e := expectation{named: make(map[string]bool, len(present)), others: max(subscribers-len(present), 0)}
	for _, id := range cutOff {
		e.named[id] = false
	}
	for _, id := range present {
		if p := r.peers[id]; p != nil && p.live(now) {
			e.named[id] = !now.Before(p.silentUntil)
		}
	}
	if a, ok := r.absent[nsp]; ok && now.Before(a.until) {
		// Who is gone since is taken to be a silent one: waiting in vain is better than losing an answer.
		e.excused = min(max(a.silent-max(a.of-e.others, 0), 0), e.others)
	}
	return e
}

// silent takes in who left a question unanswered that e was expected of.
func (r *roster) silent(nsp string, e expectation, named []string, others int, now time.Time) {
	until := now.Add(silence)
	for _, id := range named {
		// One that was not waited for may just be slower than the rest; its time runs on.
		if p := r.peers[id]; p != nil && e.named[id] {
			p.silentUntil = until
		}
	}
	switch {
	case others == 0:
		delete(r.absent, nsp)
	case others > e.excused:
		r.absent[nsp] = absent{silent: others, of: e.others, until: until}
	}
	for nsp, a := range r.absent {
		if !now.Before(a.until) {
			delete(r.absent, nsp)
		}
	}
}

// answered takes in that a node has said something.
func (r *roster) answered(id string) {
	if p := r.peers[id]; p != nil {
		p.silentUntil = time.Time{}
	}
}
