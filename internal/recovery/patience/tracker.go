// Package patience decides how long a client may go on trying to come to a session that cannot be moved to its node: while the
// node that has the session is alive and is not reached, or Redis is away, each try fails. A client that is sent away tries again
// with the session's secret, so that without a bound it would never be connected.
package patience

import (
	"hash/maphash"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// mostSessions bounds the sessions that are known to have failed to move, of 60 bytes each.
	mostSessions = 1 << 16
	// over is how long after a failure the next one is taken for a new trouble: clients try again within seconds.
	over = time.Minute
	// logEvery is how often a node that is not reached is logged.
	logEvery = time.Minute
)

// Config says how long clients may try.
type Config struct {
	Node    time.Duration // while the node that has the session does not answer
	Session time.Duration // whatever the reason: the session has expired then
	Logger  *zap.Logger   // for nodes that are not reached
}

// Tracker knows nodes that are not reached and sessions that have failed to move. All methods are safe for concurrent use and none
// waits.
type Tracker struct {
	// Static after construction.
	config Config
	seed   maphash.Seed

	mu sync.Mutex
	// mu guards the following.
	nodes    map[string]*silence // by tag
	sessions map[uint64]trouble  // by a hash of the pid, which clients choose
	swept    time.Time
}

// silence is a node of which no call has been answered since.
type silence struct {
	since, last time.Time
	logged      time.Time
	calls       int // since it was logged
}

// trouble is a session that has failed to move.
type trouble struct{ first, last time.Time }

// New makes a tracker.
func New(cfg Config) *Tracker {
	return &Tracker{
		config: cfg, seed: maphash.MakeSeed(), nodes: make(map[string]*silence), sessions: make(map[uint64]trouble), swept: time.Now(),
	}
}

// Answered notes that the node of a tag has answered a call, or is gone.
func (t *Tracker) Answered(tag string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[tag]
	if n == nil {
		return
	}
	delete(t.nodes, tag)
	t.config.Logger.Info("a node is reached again, or gone", zap.String("tag", tag), zap.Duration("after", time.Since(n.since)))
}

// Silent notes that the node of a tag was not reached. The error, which names its address, is logged once a minute.
func (t *Tracker) Silent(tag string, err error) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweepLocked(now)
	n := t.nodes[tag]
	if n == nil {
		n = &silence{since: now}
		t.nodes[tag] = n
	} else if now.Sub(n.last) >= over {
		n.since = now
	}
	n.last = now
	if n.calls++; now.Sub(n.logged) < logEvery {
		return
	}
	t.config.Logger.Warn("a node that clients' sessions are at is not reached at its peer listener: the clients are sent away, and after a "+
		"while get new sockets", zap.String("tag", tag), zap.Int("calls", n.calls), zap.Duration("for", now.Sub(n.since)), zap.Error(err))
	n.logged, n.calls = now, 0
}

// Failed notes that a session which was claimed at a moment has not been moved, and reports whether the client has tried for so
// long that the session has expired.
func (t *Tracker) Failed(pid string, claimed time.Time) (expired bool) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sweepLocked(now)
	key := maphash.String(t.seed, pid)
	had, known := t.sessions[key]
	if known && now.Sub(had.last) < over {
		claimed = had.first
	} else if !known && len(t.sessions) >= mostSessions {
		return false
	}
	t.sessions[key] = trouble{first: claimed, last: now}
	return now.Sub(claimed) >= t.config.Session
}

// Settled notes that it is known what has become of a session.
func (t *Tracker) Settled(pid string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.sessions, maphash.String(t.seed, pid))
}

// Hopeless reports whether a client has tried for long enough to come to its session at the node of a tag, of which no call was
// answered in that time.
func (t *Tracker) Hopeless(pid, tag string) bool {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.nodes[tag]
	if n == nil || now.Sub(n.last) >= over || now.Sub(n.since) < t.config.Node {
		return false
	}
	had, known := t.sessions[maphash.String(t.seed, pid)]
	if !known {
		return len(t.sessions) >= mostSessions // else clients whose sessions are not noted would try for ever
	}
	return now.Sub(had.last) < over && now.Sub(had.first) >= t.config.Node
}

// sweepLocked forgets what is over, once in a while.
func (t *Tracker) sweepLocked(now time.Time) {
	if now.Sub(t.swept) < over {
		return
	}
	t.swept = now
	for key, had := range t.sessions {
		if now.Sub(had.last) >= over {
			delete(t.sessions, key)
		}
	}
	for tag, n := range t.nodes {
		if now.Sub(n.last) >= over {
			delete(t.nodes, tag)
		}
	}
}
