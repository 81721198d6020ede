package redis

import (
	"slices"
	"time"
)

const (
	// silence is for how long a node that left a question unanswered is not waited for.
	silence = 30 * time.Second
	// ghostTime is for how long a lapsed node is remembered: longer than Redis keeps the connection of a machine that has
	// vanished, which goes on to be counted as a subscriber.
	ghostTime = 10 * time.Minute
)

// peers are the other nodes of our kind by their records, and how many nodes of other kinds leave questions unanswered.
// It decides which answers a question waits for. It is a pure state machine and not safe for concurrent use.
type peers struct {
	byID      map[string]*peer
	strangers map[string]strangers // by namespace
}

// peer is another node of our kind.
type peer struct {
	record

	state       peerState
	since       time.Time // when it became unsure or gone
	silentUntil time.Time // it left a question unanswered
}

type peerState uint8

const (
	peerAlive  peerState = iota
	peerUnsure           // missing from a list that was read whole: Redis may have lost its record, and it writes another
	peerGone             // it has left, or its heartbeats have stopped
)

// strangers are how many nodes without a record, such as Node's servers, leave questions in a namespace unanswered.
// Which of them do is not known.
type strangers struct {
	silent, of int
	until      time.Time
}

func (p *peer) alive() bool { return p.state != peerGone }

func newPeers() *peers {
	return &peers{byID: make(map[string]*peer), strangers: make(map[string]strangers)}
}

// learn notes the record of a node, and reports whether it is one more that is alive, or one less.
func (p *peers) learn(r record, now time.Time) (joined, gone bool) {
	if r.Left {
		return false, p.lose(r.ID, now)
	}
	known := p.byID[r.ID]
	if known == nil {
		known = &peer{state: peerGone}
		p.byID[r.ID] = known
	}
	if joined = known.state == peerGone; joined {
		known.silentUntil = time.Time{}
	}
	known.record, known.state = r, peerAlive
	return joined, false
}

// lose notes that a node has left or lapsed, and reports whether it was there until now.
func (p *peers) lose(id string, now time.Time) bool {
	known := p.byID[id]
	if known == nil || known.state == peerGone {
		return false
	}
	known.state, known.since = peerGone, now
	return true
}

// replace notes the records of all nodes. A node that has none may only have to write it again, as after Redis came back
// empty.
func (p *peers) replace(all []record, now time.Time) (joined []record) {
	listed := make(map[string]bool, len(all))
	for _, r := range all {
		listed[r.ID] = true
		if isNew, _ := p.learn(r, now); isNew {
			joined = append(joined, r)
		}
	}
	for id, known := range p.byID {
		if !listed[id] && known.state == peerAlive {
			known.state, known.since = peerUnsure, now
		}
	}
	return joined
}

// expire gives up nodes that have been unsure for as long as a record lasts, and forgets those long gone.
func (p *peers) expire(now time.Time) (gone []record) {
	for id, known := range p.byID {
		switch {
		case known.state == peerUnsure && now.Sub(known.since) >= heartbeatExpiry:
			known.state, known.since = peerGone, now
			gone = append(gone, known.record)
		case known.state == peerGone && now.Sub(known.since) >= ghostTime:
			delete(p.byID, id)
		}
	}
	return gone
}

// count is how many nodes are alive, this one included.
func (p *peers) count() int {
	n := 1
	for _, known := range p.byID {
		if known.alive() {
			n++
		}
	}
	return n
}

// withTag are the records of the nodes that are alive and have a tag.
func (p *peers) withTag(tag string) (owners []record) {
	for _, known := range p.byID {
		if known.alive() && slices.Contains(known.Tags, tag) {
			owners = append(owners, known.record)
		}
	}
	return owners
}

// all are the records of the peers that suit.
func (p *peers) all(suits func(*peer) bool) []record {
	records := make([]record, 0, len(p.byID))
	for _, known := range p.byID {
		if suits(known) {
			records = append(records, known.record)
		}
	}
	return records
}

// subscribers are the connections that were subscribed to questions in a namespace at a moment, without ours.
type subscribers struct {
	total   int
	present []string // peers among them
	cutOff  []string // peers that are alive and receive nothing: they may have the namespace too
}

func (s subscribers) strangers() int { return max(s.total-len(s.present), 0) }

// duty is what a question may expect of a node of our kind.
type duty uint8

const (
	dutyNone    duty = iota // it is no part of the question; should it answer, no stranger has
	dutyAnswer              // its answer belongs to the question, and is not waited for
	dutyAwaited             // its answer is waited for
)

// expectation is whose answers belong to a question, and whose it waits for.
type expectation struct {
	peers     map[string]duty
	strangers int // nodes without a record
	excused   int // how many of the strangers are not waited for
}

// expect judges the subscribers before the question was published and after.
//
// A stranger that was there at one of the moments may have received the question, so the larger number counts. A peer that
// is there only after may have been subscribing before, its channel for questions ahead of the one with its name: then it
// was taken for a stranger. A peer that is gone is a connection that nothing answers on. What is cut off has not received
// the question, and is not waited for.
func (p *peers) expect(nsp string, before, after subscribers, now time.Time) expectation {
	e := expectation{peers: make(map[string]duty, len(after.present))}
	for _, id := range before.present {
		e.peers[id] = dutyNone
	}
	newcomers := 0
	for _, id := range after.present {
		if _, was := e.peers[id]; !was {
			newcomers++
		}
		e.peers[id] = dutyNone
		if known := p.byID[id]; known != nil && known.alive() {
			e.peers[id] = dutyAwaited
			if known.Deaf || now.Before(known.silentUntil) {
				e.peers[id] = dutyAnswer
			}
		}
	}
	for _, id := range after.cutOff {
		e.peers[id] = dutyAnswer
	}
	for id, known := range p.byID {
		if _, there := e.peers[id]; !there && !known.alive() {
			e.peers[id] = dutyNone
		}
	}
	e.strangers = max(after.strangers(), before.strangers()-newcomers)
	if s, ok := p.strangers[nsp]; ok && now.Before(s.until) {
		// If there are fewer now, assume that silent ones left. This may wait for a silent node but never skips a live one.
		e.excused = min(max(s.silent-max(s.of-e.strangers, 0), 0), e.strangers)
	}
	return e
}

// settle notes which nodes left a question unanswered that e was expected of.
func (p *peers) settle(nsp string, e expectation, silent []string, silentStrangers int, now time.Time) {
	until := now.Add(silence)
	for _, id := range silent {
		// One that was not waited for may only be slower than the rest; its time runs on.
		if known := p.byID[id]; known != nil && e.peers[id] == dutyAwaited {
			known.silentUntil = until
		}
	}
	switch {
	case silentStrangers == 0:
		delete(p.strangers, nsp)
	case silentStrangers > e.excused:
		p.strangers[nsp] = strangers{silent: silentStrangers, of: e.strangers, until: until}
	}
	for nsp, s := range p.strangers {
		if !now.Before(s.until) {
			delete(p.strangers, nsp)
		}
	}
}

// answered notes that a node has answered something: it is not silent.
func (p *peers) answered(id string) {
	if known := p.byID[id]; known != nil {
		known.silentUntil = time.Time{}
	}
}
