package upstream

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/redisconn"
)

// Config is what an Upstream is made of.
type Config struct {
	// Client is for this Upstream alone, which closes it. It must not repeat commands by itself.
	Client goredis.UniversalClient
	Prefix string // of keys
	Routes map[string]config.Route
	// MaxAnswer, MaxDepth and MaxAttachments bound a backend's answer.
	MaxAnswer, MaxDepth, MaxAttachments int
	Logger                              *zap.Logger           // nil: none
	Registry                            prometheus.Registerer // nil: metrics are kept, not registered
	// Times are for tests; zero fields have their defaults.
	Times Times
}

// Times are how often things happen.
type Times struct {
	Beat   time.Duration // between heartbeats; 2 s
	Period time.Duration // without a heartbeat, after which a node is lost; 12 s
	Keep   time.Duration // between looks at the streams; 10 s
	// Unclaimed is how long the node to which a socket has gone may take until it claims it; 20 s.
	Unclaimed time.Duration
}

// Upstream carries events of one process's clients to backends. Safe for concurrent use.
type Upstream struct {
	// Static after construction.
	client  goredis.UniversalClient
	keys    keys
	limits  answerLimits
	times   Times
	log     *zap.Logger
	metrics *metrics
	pending pending
	budget  budget
	pumps   context.Context //nolint:containedctx // ends the goroutines of partitions
	stop    context.CancelFunc
	renew   chan struct{} // has room for one; a heartbeat is due now
	dead    chan deadNode // has room for a few; found again by the next heartbeat where it has none

	routes    atomic.Pointer[routes]
	node      atomic.Pointer[node]
	announced atomic.Pointer[map[string]string] // number of partitions of every route that a node has announced

	trouble trouble

	beating sync.Mutex // held while a heartbeat is at Redis
	// beating guards the following.
	left bool // deregister was called

	mu sync.Mutex
	// mu guards the following.
	known   map[string]*route // every route that there ever was
	closed  bool
	working sync.WaitGroup // partitions with a goroutine
}

// New makes the way to the backends. It dials nothing before Run.
func New(cfg Config) (*Upstream, error) {
	u := &Upstream{
		client: cfg.Client,
		keys:   keys{prefix: cfg.Prefix},
		limits: answerLimits{bytes: cfg.MaxAnswer, depth: cfg.MaxDepth, attachments: cfg.MaxAttachments},
		times:  cfg.Times,
		log:    cfg.Logger,
		budget: budget{socket: maxSocket, total: maxTotal},
		renew:  make(chan struct{}, 1),
		dead:   make(chan deadNode, 16),
		known:  make(map[string]*route),
	}
	if u.log == nil {
		u.log = zap.NewNop()
	}
	u.times.setDefaults()
	var err error
	if u.metrics, err = newMetrics(cfg.Registry, u); err != nil {
		return nil, err
	}
	u.trouble.log = u.log
	u.trouble.refusals = redisconn.NewRefusals(u.log, func(what string) { u.metrics.refused.WithLabelValues(what).Inc() })
	u.pending = pending{metrics: u.metrics, budget: &u.budget, waits: make(map[string]*wait)}
	u.pumps, u.stop = context.WithCancel(context.Background())
	u.node.Store(newNode(newName()))
	u.Replace(cfg.Routes)
	return u, nil
}

// newName is a name that no other process has or had.
func newName() string { return strings.ToLower(rand.Text()[:16]) }

func (t *Times) setDefaults() {
	for _, d := range []struct {
		at    *time.Duration
		value time.Duration
	}{{&t.Beat, 2 * time.Second}, {&t.Period, 12 * time.Second}, {&t.Keep, 10 * time.Second}, {&t.Unclaimed, 20 * time.Second}} {
		if *d.at == 0 {
			*d.at = d.value
		}
	}
}

// Run keeps this node alive for the others, reads answers, ends the sockets of nodes that died, and trims streams, until ctx
// ends. While there are no routes it does nothing.
func (u *Upstream) Run(ctx context.Context) {
	var running sync.WaitGroup
	running.Go(func() { u.beats(ctx) })
	running.Go(func() { u.inboxes(ctx) })
	running.Go(func() { u.reaper(ctx) })
	running.Go(func() { u.keep(ctx) })
	running.Wait()
}

// startPump starts the goroutine of a partition; false when all has ended.
func (u *Upstream) startPump(p *partition) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return false
	}
	u.working.Go(func() { p.pump(u.pumps) })
	return true
}

// Close waits until everything is stored, or until ctx ends, and says that this node leaves. What is not stored then,
// survivors find. It is called once, when no socket is left and before Run's context ends.
func (u *Upstream) Close(ctx context.Context) error {
	u.mu.Lock()
	u.closed = true
	u.mu.Unlock()
	left := make(chan struct{})
	go func() {
		defer close(left)
		u.working.Wait()
		if ctx.Err() == nil {
			u.deregister(ctx)
		}
	}()
	select {
	case <-left:
	case <-ctx.Done():
	}
	u.stop()
	err := u.client.Close() // ends what waits for Redis
	<-left
	return err
}

// Abandon releases what New opened, for an Upstream that Close is not called for. After Close it does nothing.
func (u *Upstream) Abandon() error {
	u.stop()
	if err := u.client.Close(); err != nil && !errors.Is(err, goredis.ErrClosed) {
		return err
	}
	return nil
}

// changed has the heartbeat run now.
func (u *Upstream) changed() {
	select {
	case u.renew <- struct{}{}:
	default:
	}
}

// inboxes reads the inbox of the node's name, and of its next one when that is lost.
func (u *Upstream) inboxes(ctx context.Context) {
	for ctx.Err() == nil {
		n := u.node.Load()
		select {
		case <-ctx.Done():
		case <-n.registered:
			u.readInbox(ctx, n)
		}
	}
}
