package upstream

import (
	"context"
	"strconv"
	"sync"
	"time"
)

// claim is one attempt to make a socket this node's in all its partitions.
type claim struct {
	done chan struct{} // closed when all have answered

	mu sync.Mutex
	// mu guards the following.
	waiting int   // for so many
	err     error // the first refusal
}

// claimLocked has Redis make the socket this node's under a number.
func (s *Socket) claimLocked(move uint64) {
	var stays []*stay
	for _, st := range s.stays {
		if st.last() > 0 { // else Redis does not know of it
			stays = append(stays, st)
		}
	}
	c := &claim{done: make(chan struct{}), waiting: len(stays)}
	if c.waiting == 0 {
		close(c.done)
	}
	s.held, s.offered, s.claim = move, move, c
	now := time.Now()
	for _, st := range stays {
		st.mark(move)
		e := newMark(kindClaim, st, now)
		e.stored = func(seq string, err error) {
			if err == nil {
				st.raise(seq)
			}
			c.answered(err)
		}
		s.put(e)
	}
}

// raise notes the last seq that Redis knows. Of a socket that is taken back it may be of an entry of another node.
func (st *stay) raise(seq string) {
	n, err := strconv.ParseUint(seq, 10, 64)
	st.partition.mu.Lock()
	defer st.partition.mu.Unlock()
	if err == nil && n > st.seq {
		st.seq = n
	}
}

// answered notes the answer of one partition.
func (c *claim) answered(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	if c.waiting--; c.waiting == 0 {
		close(c.done)
	}
}

// await waits until all have answered. nil: the socket is this node's.
func (c *claim) await(ctx context.Context) error {
	select {
	case <-c.done:
		return c.err
	default:
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ErrUnavailable
	}
}

// refused reports whether the socket is known not to be this node's.
func (c *claim) refused() bool {
	select {
	case <-c.done:
		return c.err != nil
	default:
		return false
	}
}
