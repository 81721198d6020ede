package policy

import (
	"maps"

	"golang.org/x/time/rate"
)

// bucket describes a token bucket of which each connection has one. Its address is its identity: a reload that does not
// change the rate keeps the bucket, and with it the tokens that connections have left.
type bucket struct {
	id    bucketID
	limit rate.Limit
	burst int
}

// bucketID names the rule that a bucket belongs to, across reloads: rules have no other identity, and their position may
// change. The zero value is that of limits.events.
type bucketID struct {
	namespace string // the key
	rule      string // its name, else its events
	nth       int    // of the rules in the namespace with the same events and no name
}

// buckets are those of a ruleset.
type buckets map[bucketID]*bucket

// keep returns the bucket of before that has the same id and rate; else b.
func (all buckets) keep(before buckets, b *bucket) *bucket {
	if have := before[b.id]; have != nil && *have == *b {
		b = have
	}
	all[b.id] = b
	return b
}

// connection is the state of one connection, whatever namespaces its client joins and leaves: at most one token bucket
// for each rule with a rate, and one for limits.events. It belongs to the logic that is called.
type connection struct {
	set      *ruleset // the one that the limiters belong to
	limiters map[*bucket]*rate.Limiter
}

// allow takes a token.
func (c *connection) allow(set *ruleset, b *bucket) bool {
	if c.set != set {
		maps.DeleteFunc(c.limiters, func(b *bucket, _ *rate.Limiter) bool { return set.buckets[b.id] != b })
		c.set = set
	}
	l := c.limiters[b]
	if l == nil {
		if c.limiters == nil {
			c.limiters = make(map[*bucket]*rate.Limiter)
		}
		l = rate.NewLimiter(b.limit, b.burst)
		c.limiters[b] = l
	}
	return l.Allow()
}
