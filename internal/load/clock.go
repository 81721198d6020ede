//go:build linux

package load

import (
	"context"
	"math"
	"time"
)

var began = time.Now()

// now is the monotonic time in nanoseconds.
func now() int64 { return int64(time.Since(began)) }

// sleepUntil waits for a moment of now, or for the end of ctx.
func sleepUntil(ctx context.Context, t int64) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(t - now())):
		return nil
	}
}

func pause(ctx context.Context, d time.Duration) error { return sleepUntil(ctx, now()+int64(d)) }

// await looks every millisecond whether cond holds, until it does, or d has passed, or ctx has ended.
func await(ctx context.Context, d time.Duration, cond func() bool) {
	for end := now() + int64(d); !cond() && now() <= end && pause(ctx, time.Millisecond) == nil; {
		continue
	}
}

// rounded keeps three digits behind the point; what is no number becomes 0.
func rounded(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return math.Round(f*1000) / 1000
}
