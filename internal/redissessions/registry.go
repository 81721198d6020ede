package redissessions

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
)

// Config is what a Registry needs. All fields but Registerer are required.
type Config struct {
	Client  goredis.UniversalClient
	Prefix  string        // of all keys
	Expiry  time.Duration // how long an entry outlives its last renewal
	Timeout time.Duration // of each call to Redis
	Logger  *zap.Logger
	// Registerer takes the metric; nil: it is kept, but not shown.
	Registerer prometheus.Registerer
}

// Registry is one node's view of the entries. All methods are safe for concurrent use.
type Registry struct {
	// Static after construction.
	cfg      Config
	failures prometheus.Counter
	wake     chan struct{} // there is something to drop; never closed
	turns    chan struct{} // holds a value for each Get and Swap that is under way

	mu sync.Mutex
	// mu guards the following.
	held    map[string]string // owner by pid: entries that are renewed
	dropped []entry           // to be removed from Redis
}

type entry struct{ pid, owner string }

// New makes a registry; Run renews what it holds.
func New(cfg Config) (*Registry, error) {
	r := &Registry{
		cfg: cfg,
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carillon_recovery_registry_failures_total",
			Help: "Calls to Redis about sessions that have moved to another node, and that failed. Meanwhile clients whose session has " +
				"moved are not found, and sessions stay where they are: look at Redis, and at the rights of its user.",
		}),
		wake:  make(chan struct{}, 1),
		turns: make(chan struct{}, mostCalls),
		held:  make(map[string]string),
	}
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(r.failures); err != nil {
			return nil, fmt.Errorf("redis: register metrics: %w", err)
		}
	}
	return r, nil
}

func (r *Registry) key(pid string) string { return r.cfg.Prefix + ":sess:" + pid }

// mostCalls is how many calls wait for Redis at a time. The client's connections are few, and others need them: without a bound,
// thousands of sessions that move at once would cost the node its heartbeat.
const mostCalls = 8

// inTurn is call as soon as fewer than mostCalls are under way. Only ctx bounds the wait for that: the registry's timeout begins after it.
func (r *Registry) inTurn(ctx context.Context, f func(context.Context) error) error {
	select {
	case r.turns <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("redis: wait to ask about a session: %w", ctx.Err())
	}
	defer func() { <-r.turns }()
	return r.call(ctx, f)
}

// Get returns the owner of a session; empty: there is no entry. It waits for Redis, for the registry's timeout at most, and for its
// turn, until ctx ends.
func (r *Registry) Get(ctx context.Context, pid string) (owner string, err error) {
	var found string // written later where the call outlasts its time
	err = r.inTurn(ctx, func(ctx context.Context) error {
		text, err := r.cfg.Client.Get(ctx, r.key(pid)).Result()
		if errors.Is(err, goredis.Nil) {
			return nil
		}
		found = text
		return err
	})
	if err != nil {
		return "", err
	}
	return found, nil
}

// swapScript answers 1 when the entry is the new owner's by then.
var swapScript = goredis.NewScript(`
local owner = redis.call('GET', KEYS[1]) or ''
if owner ~= ARGV[1] and owner ~= ARGV[2] then
	return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
`)

// Swap gives a session to another owner if it is from's; an empty from: if there is no entry. It reports whether the entry is
// to's now, also when it was before: so it may be called again after an error, which leaves the outcome open. It waits as Get does.
func (r *Registry) Swap(ctx context.Context, pid, from, to string) (swapped bool, err error) {
	var answer int // written later where the call outlasts its time
	err = r.inTurn(ctx, func(ctx context.Context) error {
		n, err := swapScript.Run(ctx, r.cfg.Client, []string{r.key(pid)}, from, to, r.cfg.Expiry.Milliseconds()).Int()
		answer = n
		return err
	})
	if err != nil {
		return false, err
	}
	return answer == 1, nil
}

// Hold has an entry of this node renewed until Drop, or until it is another owner's. It does not wait.
func (r *Registry) Hold(pid, owner string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held[pid] = owner
}

// Drop ends Hold, and removes the entry if it is still the owner's. It does not wait; an entry that cannot be removed expires.
func (r *Registry) Drop(pid, owner string) {
	r.mu.Lock()
	if r.held[pid] == owner {
		delete(r.held, pid)
	}
	r.dropped = append(r.dropped, entry{pid, owner})
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Held is how many entries are renewed.
func (r *Registry) Held() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.held)
}

// call bounds a call in time, and wraps its error.
func (r *Registry) call(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Timeout)
	defer cancel()
	err := redisconn.Within(ctx, func() error { return f(ctx) })
	if err == nil {
		return nil
	}
	r.failures.Inc()
	return fmt.Errorf("redis: sessions that have moved: %w", err)
}
