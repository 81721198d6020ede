package redis

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// confirmation waits until sharded channels are believed, each on the shard that serves it. What a move of slots
// interrupts is tried again.
type confirmation struct {
	// Static after construction.
	shards    *shards
	interests []interest
	timer     *time.Timer
	done      func(error) // once

	over atomic.Bool // it took too long
}

// confirm calls done with nil once the channels of all interests are believed, with ErrAway when that takes too long.
func (s *shards) confirm(interests []interest, done func(error)) {
	c := &confirmation{shards: s, interests: interests}
	var once sync.Once
	c.done = func(err error) { once.Do(func() { done(err) }) }
	c.timer = time.AfterFunc(s.adapter.config.RequestTimeout, func() {
		s.mu.Lock()
		s.waiting = slices.DeleteFunc(s.waiting, func(other *confirmation) bool { return other == c })
		s.mu.Unlock()
		c.over.Store(true)
		c.done(adapter.ErrAway)
	})
	c.attempt()
}

func (c *confirmation) end(err error) {
	c.timer.Stop()
	c.done(err)
}

// attempt waits at each shard. It is called without locks.
func (c *confirmation) attempt() {
	s := c.shards
	s.mu.Lock()
	current := s.routes.Load()
	parts := make(map[*shard][]interest)
	for _, in := range c.interests {
		parts[current[in.slot]] = append(parts[current[in.slot]], in)
	}
	_, unserved := parts[nil]
	if unserved && !s.closed && !c.over.Load() {
		s.waiting = append(s.waiting, c)
	}
	closed := s.closed
	s.mu.Unlock()
	switch {
	case closed:
		c.end(adapter.ErrAway)
		return
	case unserved:
		return
	}
	join := &joint{left: len(parts)}
	join.done = func(err error) {
		if err != nil && s.routes.Load() != current && !c.over.Load() {
			c.attempt()
			return
		}
		c.end(err)
	}
	for sh, part := range parts {
		sh.subscriber.confirm(part, join.part)
	}
}

// joint makes one outcome of several: the last failure, or none.
type joint struct {
	done func(error) // static

	mu sync.Mutex
	// mu guards the following.
	left int
	err  error
}

func (j *joint) part(err error) {
	j.mu.Lock()
	if j.left--; err != nil {
		j.err = err
	}
	over, outcome := j.left == 0, j.err
	j.mu.Unlock()
	if over {
		j.done(outcome)
	}
}
