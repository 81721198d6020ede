package redis

import (
	"sync"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// refusal is what Redis refused this node for lack of rights: the closed label set of redis_refused_total.
type refusal string

const (
	refusedLogin     refusal = "login"
	refusedSubscribe refusal = "subscribe"
	refusedPublish   refusal = "publish"
	refusedProbe     refusal = "probe"     // publishing to ourselves
	refusedQuery     refusal = "query"     // counting subscribers
	refusedHeartbeat refusal = "heartbeat" // keys of this node's own
)

var refusalKinds = []refusal{refusedLogin, refusedSubscribe, refusedPublish, refusedProbe, refusedQuery, refusedHeartbeat}

// refusals counts what Redis refuses this node, and logs each kind once until it is granted again: whatever goes on
// being refused is a mistake in the rules of its user, and no attempt will mend it.
type refusals struct {
	// Static after construction.
	log     *zap.Logger
	metrics *metrics

	any atomic.Bool // something is refused at present: spares each publish the lock

	mu sync.Mutex
	// mu guards the following.
	standing map[refusal]bool
}

func newRefusals(log *zap.Logger, m *metrics) *refusals {
	return &refusals{log: log, metrics: m, standing: make(map[refusal]bool)}
}

// refused takes in an error, and reports whether it is about rights.
func (r *refusals) refused(kind refusal, err error) bool {
	if !goredis.IsPermissionError(err) && !goredis.IsAuthError(err) {
		return false
	}
	r.metrics.refused[kind].Inc()
	r.mu.Lock()
	news := !r.standing[kind]
	r.standing[kind] = true
	r.any.Store(true)
	r.mu.Unlock()
	if news {
		r.log.Error("refused by Redis", zap.String("what", string(kind)), zap.Error(err))
	}
	return true
}

// granted takes in that what may have been refused before was not.
func (r *refusals) granted(kind refusal) {
	if !r.any.Load() {
		return
	}
	r.mu.Lock()
	news := r.standing[kind]
	delete(r.standing, kind)
	r.any.Store(len(r.standing) > 0)
	r.mu.Unlock()
	if news {
		r.log.Info("granted by Redis", zap.String("what", string(kind)))
	}
}
