package webhook

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/bytesjson"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/outbound"
	"github.com/carillon-io/carillon/pkg/backend"
)

// Group is the consumer group of webhooks.
const Group = "webhook"

// concurrency is how many POSTs of one route run at once on one node.
const concurrency = 64

// grace is how long POSTs may go on once the node leaves, or their route has changed.
const grace = 2 * time.Second

// Config is what New needs; Client must be given.
type Config struct {
	Client goredis.UniversalClient // stays the caller's; must be open until Run has returned
	Prefix string                  // of keys, redis.prefix
	Routes map[string]config.Route // those without a webhook do not matter
	// MaxDepth and MaxAttachments bound acknowledgements.
	MaxDepth, MaxAttachments int
	Lease                    time.Duration         // of a partition; 0: that of pkg/backend
	Logger                   *zap.Logger           // nil: none
	Registry                 prometheus.Registerer // nil: metrics are kept, not registered
}

// Webhooks are the webhooks of all routes of a node.
type Webhooks struct {
	// Static after construction.
	cfg      Config
	requests *prometheus.CounterVec
	changed  chan struct{} // room for one; never closed

	mu sync.Mutex
	// mu guards the following.
	wanted map[string]hook
}

// hook is what a route's consumer is made of.
type hook struct {
	config.Webhook

	maxEntries int
}

// New makes webhooks; Run starts them.
func New(cfg Config) (*Webhooks, error) {
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	w := &Webhooks{cfg: cfg, changed: make(chan struct{}, 1)}
	w.requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "carillon", Name: "webhook_requests_total",
		Help: "POSTs of routes' webhooks by result: accepted; rejected, and dead at once; throttled (408, 429), failed (5xx), timeout, " +
			"unreachable and private (not a public address), which are tried again; malformed, an entry that is no event.",
	}, []string{"route", "result"})
	if cfg.Registry != nil {
		if err := cfg.Registry.Register(w.requests); err != nil {
			return nil, fmt.Errorf("webhook: register metrics: %w", err)
		}
	}
	w.Set(cfg.Routes)
	return w, nil
}

// Set puts other routes in force. Those whose webhook is the same go on.
func (w *Webhooks) Set(routes map[string]config.Route) {
	wanted := make(map[string]hook)
	for name, route := range routes {
		if route.Webhook != nil {
			wanted[name] = hook{*route.Webhook, route.MaxEntries}
			w.counters(name)
		}
	}
	w.mu.Lock()
	w.wanted = wanted
	w.mu.Unlock()
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *Webhooks) counters(route string) map[string]prometheus.Counter {
	counters := make(map[string]prometheus.Counter, len(results))
	for _, result := range results {
		counters[result] = w.requests.WithLabelValues(route, result)
	}
	return counters
}

// running is the consumer of one route.
type running struct {
	hook

	stop  context.CancelFunc
	ended chan struct{} // closed when it has ended
}

// Run delivers until ctx ends, and then until what is under way has ended, for grace at most. It is called once.
func (w *Webhooks) Run(ctx context.Context) {
	consumers := make(map[string]*running)
	for {
		select {
		case <-ctx.Done():
			for _, c := range consumers {
				<-c.ended
			}
			return
		case <-w.changed:
		}
		w.mu.Lock()
		wanted := w.wanted
		w.mu.Unlock()
		for name, c := range consumers {
			if h, ok := wanted[name]; !ok || h != c.hook {
				c.stop()
				<-c.ended
				delete(consumers, name)
			}
		}
		for name, h := range wanted {
			if consumers[name] == nil {
				consumers[name] = w.start(ctx, name, h)
			}
		}
	}
}

// start runs the consumer of a route.
func (w *Webhooks) start(ctx context.Context, route string, h hook) *running {
	ctx, stop := context.WithCancel(ctx)
	c := &running{hook: h, stop: stop, ended: make(chan struct{})}
	target := outbound.New(string(h.URL), string(h.Secret), h.AllowPrivate, concurrency)
	consumer, err := backend.New(w.cfg.Client, backend.Config{
		Route:  route,
		Group:  Group,
		Prefix: w.cfg.Prefix,
		Handler: &handler{
			target: target, timeout: h.Timeout, requests: w.counters(route),
			limits: bytesjson.Limits{Depth: w.cfg.MaxDepth, Attachments: w.cfg.MaxAttachments},
		},
		Concurrency: concurrency,
		MaxAttempts: h.Retries + 1,
		DeadLetters: int64(h.maxEntries),
		Lease:       w.cfg.Lease,
		Grace:       grace,
		Logger:      w.cfg.Logger,
	})
	go func() {
		defer close(c.ended)
		defer target.Close()
		if err != nil { // the configuration has been checked
			w.cfg.Logger.Error("webhook cannot run", zap.String("route", route), zap.Error(err))
			return
		}
		_ = consumer.Run(ctx) // returns nil
	}()
	return c
}
