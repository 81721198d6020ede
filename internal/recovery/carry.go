package recovery

import (
	"context"
	"fmt"
)

// shareOfCarry is the part of Config.Bytes that sessions may take while they are read from other nodes, 1/4; one that takes more is
// read alone.
const shareOfCarry = 4

// Carry is the memory of a session that is read from another node, until it is in the log or given up. It counts towards
// Config.Bytes. It has one user at a time.
type Carry struct {
	store  *Store // static
	size   int64  // that counts
	weight int64  // of the store's share
}

// Carry begins with nothing. End ends it.
func (l *Log) Carry() *Carry { return &Carry{store: l.store} }

// Grow waits until there is room for size bytes more, at most until ctx ends. It gives back the earlier bytes while it waits: two
// sessions that each hold some and wait for more would block each other.
func (c *Carry) Grow(ctx context.Context, size int64) error {
	size += c.size
	c.End()
	s := c.store
	if size < 0 || size > s.config.Bytes {
		return FailedMemory.As(fmt.Errorf("recovery: %d bytes of a session are more than a node keeps", size))
	}
	weight := min(size, s.share())
	if err := s.carried.Acquire(ctx, weight); err != nil {
		return FailedMemory.As(fmt.Errorf("recovery: wait for room: %w", err))
	}
	c.size, c.weight = size, weight
	s.bytes.Add(size)
	if s.over() {
		s.shrink()
	}
	return nil
}

// End gives the memory back. It may be called again.
func (c *Carry) End() {
	if c.weight > 0 {
		c.store.bytes.Add(-c.size)
		c.store.carried.Release(c.weight)
	}
	c.size, c.weight = 0, 0
}

// share is how much may be carried at a time.
func (s *Store) share() int64 { return max(s.config.Bytes/shareOfCarry, 1) }
