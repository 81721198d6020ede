package redispeers

import (
	"slices"
	"sync"
	"time"
)

const (
	// Silence is for how long a node that left a question unanswered is not waited for.
	Silence = 30 * time.Second
	// ghostTime is for how long a node that is gone is remembered: longer than Redis keeps the connection of a machine that
	// has vanished, which goes on to be counted as a subscriber.
	ghostTime = 10 * time.Minute
)

// Peers are the other nodes of our kind by their records. It reads no clock: now is always the caller's. Its methods may be
// called by several goroutines.
type Peers struct {
	mu sync.Mutex
	// mu guards the following.
	byID      map[string]*peer
	strangers map[string]strangers // by namespace
}

// peer is another node of our kind.
type peer struct {
	Record

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

func (p *peer) alive() bool { return p.state != peerGone }

// NewPeers knows no node yet.
func NewPeers() *Peers {
	return &Peers{byID: make(map[string]*peer), strangers: make(map[string]strangers)}
}

// Learn records what a node has written about itself. joined: it was not alive before; gone: it has just left.
func (p *Peers) Learn(r Record, now time.Time) (joined, gone bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.learnLocked(r, now)
}

func (p *Peers) learnLocked(r Record, now time.Time) (joined, gone bool) {
	if r.Left {
		return false, p.loseLocked(r.ID, now)
	}
	known := p.byID[r.ID]
	if known == nil {
		known = &peer{state: peerGone}
		p.byID[r.ID] = known
	}
	if joined = known.state == peerGone; joined {
		known.silentUntil = time.Time{}
	}
	known.Record, known.state = r, peerAlive
	return joined, false
}

// Lose records that a node has left or lapsed, and reports whether it was alive until now.
func (p *Peers) Lose(id string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.loseLocked(id, now)
}

func (p *Peers) loseLocked(id string, now time.Time) bool {
	known := p.byID[id]
	if known == nil || known.state == peerGone {
		return false
	}
	known.state, known.since = peerGone, now
	return true
}

// replace records what all nodes have written. A node without a record may only have to write it again, as after Redis came
// back empty.
func (p *Peers) replace(all []Record, now time.Time) (joined []Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	listed := make(map[string]bool, len(all))
	for _, r := range all {
		listed[r.ID] = true
		if isNew, _ := p.learnLocked(r, now); isNew {
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
func (p *Peers) expire(now time.Time) (gone []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, known := range p.byID {
		switch {
		case known.state == peerUnsure && now.Sub(known.since) >= heartbeatExpiry:
			known.state, known.since = peerGone, now
			gone = append(gone, id)
		case known.state == peerGone && now.Sub(known.since) >= ghostTime:
			delete(p.byID, id)
		}
	}
	return gone
}

// All are the records of the nodes that may have a connection to Redis, those that are gone included.
func (p *Peers) All() []Record { return p.records(func(*peer) bool { return true }) }

// Alive are the records of the nodes that are alive.
func (p *Peers) Alive() []Record { return p.records((*peer).alive) }

// withTag are the records of the nodes that are alive and have a tag.
func (p *Peers) withTag(tag string) []Record {
	return p.records(func(known *peer) bool { return known.alive() && slices.Contains(known.Tags, tag) })
}

func (p *Peers) records(suits func(*peer) bool) (records []Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, known := range p.byID {
		if suits(known) {
			records = append(records, known.Record)
		}
	}
	return records
}

// Known reports whether a node of our kind has had that id in the last while.
func (p *Peers) Known(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byID[id] != nil
}
