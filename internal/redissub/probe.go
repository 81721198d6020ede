package redissub

import (
	"strconv"
	"time"
)

const (
	// ProbeInterval is the time between two probes.
	ProbeInterval = time.Second
	// probeLimit is how long a probe that Redis has taken may stay out before the subscription counts as deaf. It is
	// also the longest that messages may pile up before us.
	probeLimit = 5 * time.Second
	// fenceSpacing is the least time between two probes that are sent for waits. Many share one then: a probe costs Redis as
	// much as four subscriptions.
	fenceSpacing = 2 * time.Millisecond
	// fenceRetry is the least time after one that Redis did not take.
	fenceRetry = 200 * time.Millisecond
	// apartFirst and apartLast bound the intervals at which both connections are made anew for being with different servers.
	apartFirst = 10 * time.Second
	apartLast  = 10 * time.Minute
	// maxPatience bounds the time that a new connection gets before it is replaced for being deaf.
	maxPatience = time.Minute
)

// prober judges a subscription by messages to ourselves: one that Redis has taken must come back on it. Each of them is
// also the fence of all waits that needed one when it was sent.
type prober struct {
	number   uint64 // of the last probe sent
	pending  bool   // Redis has not yet answered the last probe
	sentAt   time.Time
	fenceAt  time.Time // no probe for waits before
	returned uint64    // the last probe that came back
	unheard  uint64    // the last probe that no connection of the server received, by the server's own account
	// apartAfter is when Apart may be true again, and apartWait the interval.
	apartAfter time.Time
	apartWait  time.Duration
	// missingSince is when Redis took the first probe that has not come back; zero when none is out.
	missingSince time.Time
	// since is when the present connection last confirmed anything, and, once it has the probe channel, when it got that;
	// zero without a connection. The connection is to blame for nothing that happened before.
	since    time.Time
	patience time.Duration // how long it is given
	// listeningAt is when it got the probe channel; zero before.
	listeningAt time.Time
	proven      bool // a probe has come back on it

	waiting []*Wait // for the next probe
	riding  []*Wait // on the last one
}

// SendProbe begins a probe if one is due, and returns its number, which is the text to publish. None is due while Redis has
// not answered the last one, nor, unless the connection is new, while that is out.
func (p *prober) SendProbe(now time.Time) (number uint64, ok bool) {
	since := now.Sub(p.sentAt)
	switch {
	case p.pending:
		return 0, false
	case p.number == 0, p.listeningAt.After(p.sentAt), since >= probeLimit:
	case !p.missingSince.IsZero():
		return 0, false
	case p.Urgent() && !now.Before(p.fenceAt), since >= ProbeInterval:
	default:
		return 0, false
	}
	p.number++
	p.pending = true
	p.sentAt, p.fenceAt = now, now.Add(fenceSpacing)
	p.riding = append(p.riding, p.waiting...)
	p.waiting = nil
	return p.number, true
}

// Urgent reports whether a wait needs a probe.
func (p *prober) Urgent() bool { return len(p.waiting) > 0 }

// NextProbe is how long a wait has to wait before a probe may be sent for it; 0 when there is none, or nothing but an answer
// is missing.
func (p *prober) NextProbe(now time.Time) time.Duration {
	if !p.Urgent() {
		return 0
	}
	return max(p.fenceAt.Sub(now), 0)
}

// Answered records that Redis took the probe, and how many connections received it, or that it did not.
func (p *prober) Answered(number uint64, receivers int64, taken bool, now time.Time) {
	if number != p.number {
		return
	}
	p.pending = false
	if !taken {
		p.missingSince = time.Time{}
		p.fenceAt = now.Add(fenceRetry)
		p.waiting = append(p.riding, p.waiting...)
		p.riding = nil
		return
	}
	if receivers == 0 {
		p.unheard = number
	} else {
		p.apartAfter, p.apartWait = time.Time{}, 0
	}
	if p.returned < number && p.missingSince.IsZero() {
		p.missingSince = now
	}
}

// alive records a sign of life of a connection that does not have the probe channel yet.
func (p *prober) alive(now time.Time) {
	if p.listeningAt.IsZero() {
		p.since = now
	}
}

// listen records that the connection has the probe channel.
func (p *prober) listen(now time.Time) { p.since, p.listeningAt = now, now }

// detach records the end of the connection, and returns all waits for a fence on it.
func (p *prober) detach() []*Wait {
	waits := append(p.riding, p.waiting...)
	p.riding, p.waiting = nil, nil
	p.since, p.listeningAt, p.unheard = time.Time{}, time.Time{}, 0
	return waits
}

// received records a probe that came back, and returns how long that took and whose fence it was; ok is false for what is
// not the last probe.
func (p *prober) received(payload []byte, now time.Time) (took time.Duration, fenced []*Wait, ok bool) {
	number, err := strconv.ParseUint(string(payload), 10, 64)
	if err != nil || number != p.number || number == p.returned {
		return 0, nil, false
	}
	p.returned = number
	p.missingSince = time.Time{}
	p.patience = 0
	fenced, p.riding = p.riding, nil
	return now.Sub(p.sentAt), fenced, true
}

// Apart reports whether the last probe came back although the server that took it gave it to no connection: it is not the
// server that we are subscribed at, but one that passes messages on to it, as a master does to its replica. It is true at
// growing intervals only, since a proxy may count otherwise than Redis.
func (p *prober) Apart(now time.Time) bool {
	if p.unheard == 0 || p.unheard != p.returned || now.Before(p.apartAfter) {
		return false
	}
	p.apartWait = min(max(4*p.apartWait, apartFirst), apartLast)
	p.apartAfter = now.Add(p.apartWait)
	return true
}

// Deaf reports whether Redis takes probes and none comes back. The connection is to blame, and to be replaced, when it
// has had the time for it: longer after each one that was replaced for it.
func (p *prober) Deaf(now time.Time) (deaf, blame bool) {
	if p.missingSince.IsZero() || now.Sub(p.missingSince) < probeLimit {
		return false, false
	}
	if p.since.IsZero() || now.Sub(p.since) < max(p.patience, probeLimit) {
		return true, false
	}
	p.patience = min(max(2*p.patience, 2*probeLimit), maxPatience)
	p.since = now // until it is gone
	return true, true
}
