package backend

import (
	"context"
	crand "crypto/rand"
	"math/rand/v2"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"
)

// Consumer consumes a route. Make one with New.
type Consumer struct {
	client  goredis.UniversalClient
	cfg     Config
	metrics *metrics
}

// New checks the configuration and registers the metrics; nothing is sent before Run. The client stays the caller's, who
// closes it after Run. It is a client of one server, of sentinels or of a Redis Cluster; a Ring is not supported. A
// connection of its pool is taken for each partition that waits for entries, up to half of the pool.
func New(client goredis.UniversalClient, cfg Config) (*Consumer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Consumer{client: client, cfg: cfg, metrics: newMetrics(&cfg)}, nil
}

// Run consumes until ctx ends. It then takes nothing new, waits for the handlers that run, acknowledges, and gives its
// partitions up, so that other processes have them at once; it returns nil. Handlers whose context has ended, after
// [Config.Grace], are waited for nevertheless.
//
// A Redis that is away is no error: Run keeps trying. The route need not exist yet either. Run is called once at a time.
func (c *Consumer) Run(ctx context.Context) error {
	run := &consumption{
		cfg: c.cfg, metrics: c.metrics,
		store: &store{
			client: c.client, keys: keys{c.cfg.Prefix, c.cfg.Route, c.cfg.Group}, process: crand.Text(), expiry: c.cfg.Lease,
		},
		slots: make(chan struct{}, c.cfg.Concurrency),
		waits: make(chan struct{}, max(poolSize(c.client)/2, 1)),
		held:  make(map[int]*partition),
	}
	run.run(ctx)
	return nil
}

func poolSize(client goredis.UniversalClient) int {
	switch c := client.(type) {
	case *goredis.Client:
		return c.Options().PoolSize
	case *goredis.ClusterClient:
		return c.Options().PoolSize
	}
	return 2
}

// consumption is one Run: it holds as many partitions as this process is entitled to.
type consumption struct {
	cfg          Config
	metrics      *metrics
	store        *store
	slots, waits chan struct{}

	// Owned by run.
	held    map[int]*partition
	warned  time.Time // when trouble with Redis was logged last; zero while there is none
	group   sync.WaitGroup
	unknown bool // it was logged that the route is not known
}

// beatsPerLease is how often a lease is renewed in the time that it lasts.
const beatsPerLease = 10

func (c *consumption) run(ctx context.Context) {
	ticker := time.NewTicker(c.cfg.Lease / beatsPerLease)
	defer ticker.Stop()
	working := context.WithoutCancel(ctx)
	for ctx.Err() == nil {
		c.report(c.tick(working))
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
	for _, p := range c.held {
		p.stop()
	}
	for c.collect(); len(c.held) > 0; c.collect() {
		c.report(c.renew(working))
		select {
		case <-ticker.C:
		case <-c.anyEnded():
		}
	}
	c.group.Wait()
	working, cancel := context.WithTimeout(working, time.Second)
	defer cancel()
	c.report(c.store.leave(working))
}

// report logs trouble when it begins, once a minute while it lasts, and when it ends.
func (c *consumption) report(err error) {
	switch {
	case err == nil && !c.warned.IsZero():
		c.cfg.Logger.Info("consumer works again")
		c.warned = time.Time{}
	case err != nil && time.Since(c.warned) >= warnAgain:
		c.cfg.Logger.Warn("consumer in trouble", zap.Error(err))
		c.warned = time.Now()
	}
}

// collect forgets partitions that have been given up.
func (c *consumption) collect() {
	for number, p := range c.held {
		select {
		case <-p.ended:
			delete(c.held, number)
		default:
		}
	}
}

// anyEnded returns the end of one of the partitions.
func (c *consumption) anyEnded() <-chan struct{} {
	for _, p := range c.held {
		return p.ended
	}
	return nil
}

// tick renews what is held, and moves towards this process's share.
func (c *consumption) tick(ctx context.Context) error {
	c.collect()
	if err := c.renew(ctx); err != nil {
		return err
	}
	n, err := c.store.partitions(ctx)
	if err != nil {
		return err
	}
	if n == 0 {
		if !c.unknown {
			c.cfg.Logger.Info("no gateway has this route yet", zap.String("route", c.cfg.Route))
		}
		c.unknown = true
		return nil
	}
	c.unknown = false
	share, err := c.store.beat(ctx, n)
	if err != nil {
		return err
	}
	staying := 0
	for _, p := range c.held {
		switch {
		case p.reading.Err() != nil:
		case staying == share:
			p.stop()
		default:
			staying++
		}
	}
	return c.take(ctx, n, share-staying)
}

// take takes free partitions, beginning anywhere so that processes do not try the same ones.
func (c *consumption) take(ctx context.Context, n, wanted int) error {
	first := rand.IntN(n)
	for i := range n {
		number := (first + i) % n
		if wanted <= 0 {
			return nil
		}
		if c.held[number] != nil {
			continue
		}
		until := time.Now().Add(c.cfg.Lease)
		fence, err := c.store.acquire(ctx, number)
		if err != nil {
			return err
		}
		if fence == 0 {
			continue
		}
		p := c.newPartition(number, fence, until)
		c.held[number] = p
		c.group.Go(p.run)
		wanted--
	}
	return nil
}

// renew renews the leases of all partitions that are held.
func (c *consumption) renew(ctx context.Context) error {
	var trouble error
	for number, p := range c.held {
		if p.lost.Err() != nil {
			continue
		}
		until := time.Now().Add(c.cfg.Lease)
		held, err := c.store.renew(ctx, number, p.stream.holder)
		switch {
		case err != nil:
			trouble = err
		case held:
			p.renewed(until)
		default:
			p.lose()
		}
	}
	return trouble
}
