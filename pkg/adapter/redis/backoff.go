package redis

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	backoffFirst = 50 * time.Millisecond
	backoffLast  = 2 * time.Second
)

// backoff spaces attempts to connect: longer each time, and spread, so that the nodes of a cluster do not come back in
// step. The zero value is ready.
type backoff struct{ next time.Duration }

func (b *backoff) reset() { b.next = 0 }

func (b *backoff) delay() time.Duration {
	b.next = min(max(b.next*2, backoffFirst), backoffLast)
	return b.next/2 + rand.N(b.next)
}

func (b *backoff) sleep(ctx context.Context) {
	timer := time.NewTimer(b.delay())
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
