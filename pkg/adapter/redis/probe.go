package redis

import (
	"strconv"
	"time"
)

const (
	probeInterval = time.Second
	// probeLimit is how long a probe that Redis has taken may stay out before the subscription counts as deaf. It is
	// also the longest that messages may pile up before us.
	probeLimit = 5 * time.Second
)

// prober judges a subscription by messages to ourselves: one that Redis has taken must come back on it. It is a pure
// state machine and not safe for concurrent use.
type prober struct {
	number   uint64 // of the last probe sent
	pending  bool   // Redis has not yet answered the last probe
	sentAt   time.Time
	returned uint64 // the last probe that came back
	// missingSince is when Redis took the first probe that has not come back; zero when none is out.
	missingSince time.Time
	listeningAt  time.Time // when the current connection began to listen
}

// send begins a probe if one is due, and returns its number. None is due while Redis has not answered the last one,
// nor, unless a new connection listens since, while that is out.
func (p *prober) send(now time.Time) (number uint64, ok bool) {
	since := now.Sub(p.sentAt)
	switch {
	case p.pending:
		return 0, false
	case p.number == 0, p.listeningAt.After(p.sentAt), since >= probeLimit:
	case p.missingSince.IsZero() && since >= probeInterval:
	default:
		return 0, false
	}
	p.number++
	p.pending = true
	p.sentAt = now
	return p.number, true
}

// answered takes in that Redis took the probe, or did not.
func (p *prober) answered(number uint64, taken bool, now time.Time) {
	if number != p.number {
		return
	}
	p.pending = false
	if !taken {
		p.missingSince = time.Time{}
	}
	if taken && p.returned < number && p.missingSince.IsZero() {
		p.missingSince = now
	}
}

// listening takes in that a connection has begun to listen for probes.
func (p *prober) listening(now time.Time) { p.listeningAt = now }

// received takes in a probe that came back. It reports how long that took; ok is false for what is not the last probe.
func (p *prober) received(payload string, now time.Time) (took time.Duration, ok bool) {
	number, err := strconv.ParseUint(payload, 10, 64)
	if err != nil || number != p.number || number == p.returned {
		return 0, false
	}
	p.returned = number
	p.missingSince = time.Time{}
	return now.Sub(p.sentAt), true
}

// deaf reports whether Redis takes probes and none comes back. The connection is to blame, and to be replaced, when it
// has been listening for long enough itself.
func (p *prober) deaf(now time.Time) (deaf, blame bool) {
	if p.missingSince.IsZero() || now.Sub(p.missingSince) < probeLimit {
		return false, false
	}
	return true, now.Sub(p.listeningAt) >= probeLimit
}
