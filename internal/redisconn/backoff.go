package redisconn

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	backoffFirst = 50 * time.Millisecond
	backoffLast  = 2 * time.Second
)

// Backoff spaces attempts: longer each time, and spread, so that the nodes of a cluster do not come back in step. The zero
// value is ready.
type Backoff struct{ next time.Duration }

// Reset makes the next delay the shortest.
func (b *Backoff) Reset() { b.next = 0 }

// Delay returns how long to wait, and makes the next delay longer.
func (b *Backoff) Delay() time.Duration {
	b.next = min(max(b.next*2, backoffFirst), backoffLast)
	return b.next/2 + rand.N(b.next)
}

// Sleep waits for the next delay, or until ctx ends.
func (b *Backoff) Sleep(ctx context.Context) {
	timer := time.NewTimer(b.Delay())
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
