//go:build linux

package load

import (
	"math/rand/v2"
	"time"
)

// away is the absence of a client that comes back by itself.
type away struct {
	since    int64 // 0: it is there
	attempts int
	waited   int64 // what its own back-off has cost
	target   uint32
	began    int64
	got      []bool // jitter: the messages that have arrived
}

// backOff is the official client's wait before an attempt: a second, doubled with each, at most five, and each more or less
// by up to a half.
func backOff(attempt int, random *rand.Rand) int64 {
	const (
		least = float64(time.Second)
		most  = float64(5 * time.Second)
	)
	wait := least * float64(int64(1)<<min(attempt, 10))
	wait += wait * (random.Float64() - .5)
	return int64(min(wait, most))
}

// comeBack opens c anew after a wait, at the next server.
func (w *worker) comeBack(c *client, wait int64) {
	w.at(w.now+wait, func(w *worker) {
		if c.stage == clientClosed {
			c.target = (c.target + 1) % len(w.g.targets)
			w.open(c)
		}
	})
}
