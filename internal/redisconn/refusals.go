package redisconn

import (
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
)

// Refusals counts what Redis refuses for lack of rights, and logs each kind once until it is granted again: what stays
// refused is a mistake in the rules of the user, and no attempt mends it.
type Refusals struct {
	// Static after construction.
	log   *zap.Logger
	count func(what string)

	any atomic.Bool // something is refused at present: spares each publish the lock

	mu sync.Mutex
	// mu guards the following.
	standing map[string]bool
}

// NewRefusals makes the refusals of one node; count is called for each.
func NewRefusals(log *zap.Logger, count func(what string)) *Refusals {
	return &Refusals{log: log, count: count, standing: make(map[string]bool)}
}

// Refused records an error if it is about rights, and reports whether it is.
func (r *Refusals) Refused(what string, err error) bool {
	if !Denied(err) {
		return false
	}
	r.count(what)
	r.mu.Lock()
	news := !r.standing[what]
	r.standing[what] = true
	r.any.Store(true)
	r.mu.Unlock()
	if news {
		r.log.Error("refused by Redis", zap.String("what", what), zap.Error(err))
	}
	return true
}

// Granted clears a standing refusal.
func (r *Refusals) Granted(what string) {
	if !r.any.Load() {
		return
	}
	r.mu.Lock()
	news := r.standing[what]
	delete(r.standing, what)
	r.any.Store(len(r.standing) > 0)
	r.mu.Unlock()
	if news {
		r.log.Info("granted by Redis", zap.String("what", what))
	}
}
