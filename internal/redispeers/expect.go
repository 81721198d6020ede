package redispeers

import "time"

// Subscribers are the connections that were subscribed to questions in a namespace at a moment, without this node's.
type Subscribers struct {
	Total   int
	Present []string // peers among them
	CutOff  []string // peers that are alive and receive nothing: they may have the namespace too
}

// Strangers are those without a record, as far as it is known.
func (s Subscribers) Strangers() int { return max(s.Total-len(s.Present), 0) }

// Duty is what a question may expect of a node of our kind.
type Duty uint8

// The duties.
const (
	NoDuty  Duty = iota // the node is no part of the question; should it answer, no stranger has
	Owes                // its answer belongs to the question, and is not waited for
	Awaited             // its answer is waited for
)

// Expectation is whose answers belong to a question, and whose it waits for.
type Expectation struct {
	Peers     map[string]Duty
	Strangers int // nodes without a record, such as Node's servers
	Excused   int // how many of the strangers are not waited for
}

// strangers are how many nodes without a record leave questions in a namespace unanswered. Which of them do is not known.
type strangers struct {
	silent, of int
	until      time.Time
}

// Expect decides whose answers a question waits for, from the subscribers before it was published and after.
//
// A stranger that was there at one of the moments may have received the question, so the larger number counts. A peer that
// is there only after may have been subscribing before, its channel for questions ahead of the one with its name: then it
// was taken for a stranger. A peer that is gone is a connection that nothing answers on. A peer that is cut off has not
// received the question, and is not waited for.
func (p *Peers) Expect(nsp string, before, after Subscribers, now time.Time) Expectation {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := Expectation{Peers: make(map[string]Duty, len(after.Present))}
	for _, id := range before.Present {
		e.Peers[id] = NoDuty
	}
	newcomers := 0
	for _, id := range after.Present {
		if _, was := e.Peers[id]; !was {
			newcomers++
		}
		e.Peers[id] = p.dutyLocked(id, now)
	}
	for _, id := range after.CutOff {
		e.Peers[id] = Owes
	}
	for id, known := range p.byID {
		if _, there := e.Peers[id]; !there && !known.alive() {
			e.Peers[id] = NoDuty
		}
	}
	e.Strangers = max(after.Strangers(), before.Strangers()-newcomers)
	if s, ok := p.strangers[nsp]; ok && now.Before(s.until) {
		// If there are fewer now, assume that silent ones left. This may wait for a silent node but never skips a live one.
		e.Excused = min(max(s.silent-max(s.of-e.Strangers, 0), 0), e.Strangers)
	}
	return e
}

// dutyLocked is that of a peer which is subscribed.
func (p *Peers) dutyLocked(id string, now time.Time) Duty {
	switch known := p.byID[id]; {
	case known == nil || !known.alive():
		return NoDuty
	case known.Deaf || now.Before(known.silentUntil):
		return Owes
	}
	return Awaited
}

// Settle records how a question ended of which e was expected: the peers that said nothing at all, and how many strangers
// did not.
func (p *Peers) Settle(nsp string, e Expectation, silent []string, silentStrangers int, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	until := now.Add(Silence)
	for _, id := range silent {
		// A peer that was not waited for may only be slower than the rest; its time runs on.
		if known := p.byID[id]; known != nil && e.Peers[id] == Awaited {
			known.silentUntil = until
		}
	}
	switch {
	case silentStrangers == 0:
		delete(p.strangers, nsp)
	case silentStrangers > e.Excused:
		p.strangers[nsp] = strangers{silent: silentStrangers, of: e.Strangers, until: until}
	}
	for nsp, s := range p.strangers {
		if !now.Before(s.until) {
			delete(p.strangers, nsp)
		}
	}
}

// Answered records that a node has answered something: it is not silent.
func (p *Peers) Answered(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.byID[id]; known != nil {
		known.silentUntil = time.Time{}
	}
}
