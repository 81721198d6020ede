// Package ceiling bounds memory of one kind over all that hold some of it, such as sessions, which it knows nothing of.
package ceiling

import (
	"cmp"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"
)

// Ceiling counts the bytes that holders have together. When that is more than the limit, those that hold most are ended until
// less is held.
type Ceiling[T any] struct {
	Config[T]
	bytes     atomic.Int64
	limit     atomic.Int64 // 0: none
	relieving atomic.Bool  // relieve runs
}

// Config is what a Ceiling knows of its holders. Its functions are called on a goroutine of Spawn's.
type Config[T any] struct {
	What  string           // for the log
	All   func() []T       // the holders of one moment
	Of    func(T) int      // how much a holder has that it could be ended for
	End   func(T) bool     // false when it has ended by itself, or holds nothing more
	Spawn func(run func()) // runs a function on a goroutine of its own, and waits for it when the server ends
	Log   *zap.Logger
}

// Holders are ended until a part of the limit, 1/share of it, is free again, so that the next bytes do not have to look for the
// fullest again.
const share = 8

// Add counts bytes that are held in addition, or with a negative number less of them. The caller does not wait for holders to be
// ended, so the limit is exceeded by the bytes that arrive until enough of them have ended.
func (c *Ceiling[T]) Add(bytes int) {
	held := c.bytes.Add(int64(bytes))
	if limit := c.limit.Load(); bytes > 0 && limit > 0 && held > limit && c.relieving.CompareAndSwap(false, true) {
		c.Spawn(func() { c.relieve(limit) })
	}
}

// Bytes is how many bytes are held.
func (c *Ceiling[T]) Bytes() int64 { return c.bytes.Load() }

// Limit is how many may be held; 0: any number.
func (c *Ceiling[T]) Limit() int64 { return c.limit.Load() }

// SetLimit replaces the limit. Nothing is ended before the next bytes are added.
func (c *Ceiling[T]) SetLimit(bytes int64) { c.limit.Store(bytes) }

// Full reports whether the limit would be exceeded by so many bytes more.
func (c *Ceiling[T]) Full(bytes int) bool {
	limit := c.limit.Load()
	return limit > 0 && c.bytes.Load()+int64(bytes) > limit
}

func (c *Ceiling[T]) relieve(limit int64) {
	defer c.relieving.Store(false)
	type holder struct {
		of    T
		bytes int
	}
	var holders []holder
	for _, t := range c.All() {
		if n := c.Of(t); n > 0 {
			holders = append(holders, holder{t, n})
		}
	}
	slices.SortFunc(holders, func(a, b holder) int { return cmp.Compare(b.bytes, a.bytes) })
	excess := c.bytes.Load() - (limit - limit/share)
	ended := 0
	for _, h := range holders {
		if excess <= 0 {
			break
		}
		if c.End(h.of) {
			excess -= int64(h.bytes)
			ended++
		}
	}
	c.Log.Warn(c.What+" over their total", zap.Int("ended", ended), zap.Int64("bytes", c.bytes.Load()))
}
