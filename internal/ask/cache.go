package ask

import (
	"crypto/sha256"
	"sync"
	"time"
)

// maxCached bounds the memory of answers that are kept.
const maxCached = 16 << 20

// cachedCost is about what an answer costs beside its bytes.
const cachedCost = 300

// cached is an answer.
type cached struct {
	admission Admission
	denied    *Denied
	until     time.Time
	size      int
}

func (c *cached) err() error {
	if c.denied != nil {
		return c.denied
	}
	return nil // not a nil *Denied
}

// cache keeps answers by what was asked.
type cache struct {
	mu sync.Mutex
	// mu guards the following.
	byQuestion map[[sha256.Size]byte]cached
	bytes      int
}

func (c *cache) find(key [sha256.Size]byte) (cached, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.byQuestion[key]
	return known, ok && time.Now().Before(known.until)
}

// keep keeps an answer; where there is no room those that hold no longer go first, and then all.
func (c *cache) keep(key [sha256.Size]byte, answer cached, size int, hold time.Duration) {
	now := time.Now()
	answer.until, answer.size = now.Add(hold), size+cachedCost
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropLocked(key)
	if c.bytes+answer.size > maxCached {
		for other, known := range c.byQuestion {
			if !now.Before(known.until) {
				c.dropLocked(other)
			}
		}
	}
	if c.bytes+answer.size > maxCached {
		clear(c.byQuestion)
		c.bytes = 0
	}
	c.byQuestion[key] = answer
	c.bytes += answer.size
}

func (c *cache) dropLocked(key [sha256.Size]byte) {
	c.bytes -= c.byQuestion[key].size
	delete(c.byQuestion, key)
}
