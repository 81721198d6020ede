package backend

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

// Config says what to consume, and how. Route and Handler must be set; the rest has defaults.
type Config struct {
	// Route is the name of the route in the gateways' configuration.
	Route string
	// Group is the consumer group: each group sees every entry once. A group that does not exist yet begins with the oldest
	// entry there is. Default "backend".
	Group string
	// Prefix begins the names of all keys, as redis.prefix of the gateways. Default "carillon".
	Prefix string
	// Handler handles the entries, a [Mux] for instance.
	Handler Handler

	// Concurrency is how many entries are handled at once in this process, never two of one socket. Default 64.
	Concurrency int
	// Prefetch and PrefetchBytes bound the entries that are in memory for each partition: read, and not yet acknowledged.
	// One entry more than PrefetchBytes may be. Defaults 256 and 8 MiB. What waits behind a slow or failing socket stays
	// in Redis but for its id, of which there are at most 50,000 for each partition; then reading waits.
	Prefetch      int
	PrefetchBytes int

	// MaxAttempts is how often an entry is handled before it becomes a dead letter. Default 10.
	MaxAttempts int
	// Backoff is the pause after the attempt of that number, from 1. Default: 100 ms, doubled each time, 30 s at most, less
	// up to half of it at random.
	Backoff func(attempt int) time.Duration
	// DeadLetters bounds the dead letters of the route; the oldest go first. Default 100,000.
	DeadLetters int64

	// Lease is how long a process may be silent before another one takes its partitions over: what a crash or a freeze
	// costs at most. Default 10 s, at least 100 ms.
	Lease time.Duration
	// Grace is how long handlers may go on once Run was asked to end, or the partition is handed to another process, before
	// their context ends. Default 10 s.
	Grace time.Duration

	// Logger gets state changes. Default: none.
	Logger *zap.Logger
	// Registerer gets the metrics. Default: none.
	Registerer prometheus.Registerer
	// Tracer makes a span for each entry that is handled, a child of the one that the gateway wrote into the entry.
	// Default: none.
	Tracer trace.Tracer
}

// shortestLease leaves time for the clock of Redis, which scripts read in milliseconds, and for some renewals.
const shortestLease = 100 * time.Millisecond

func (cfg Config) withDefaults() (Config, error) {
	def := func(value *int, otherwise int) {
		if *value == 0 {
			*value = otherwise
		}
	}
	def(&cfg.Concurrency, 64)
	def(&cfg.Prefetch, 256)
	def(&cfg.PrefetchBytes, 8<<20)
	def(&cfg.MaxAttempts, 10)
	if cfg.Group == "" {
		cfg.Group = "backend"
	}
	if cfg.Prefix == "" {
		cfg.Prefix = "carillon"
	}
	if cfg.DeadLetters == 0 {
		cfg.DeadLetters = 100_000
	}
	if cfg.Lease == 0 {
		cfg.Lease = 10 * time.Second
	}
	if cfg.Grace == 0 {
		cfg.Grace = 10 * time.Second
	}
	if cfg.Backoff == nil {
		cfg.Backoff = defaultBackoff
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	return cfg, cfg.check()
}

func (cfg *Config) check() error {
	var faults []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf("backend: "+format, args...))
		}
	}
	fault(cfg.Route == "" || strings.ContainsAny(cfg.Route, "{}"), "route %q: a name without braces is needed", cfg.Route)
	fault(strings.ContainsAny(cfg.Prefix, "{}"), "prefix %q has braces", cfg.Prefix)
	fault(cfg.Handler == nil, "no handler")
	fault(cfg.Concurrency < 1, "concurrency %d is below 1", cfg.Concurrency)
	fault(cfg.Prefetch < 1, "prefetch %d is below 1", cfg.Prefetch)
	fault(cfg.PrefetchBytes < 1, "prefetch bytes %d is below 1", cfg.PrefetchBytes)
	fault(cfg.MaxAttempts < 1, "max attempts %d is below 1", cfg.MaxAttempts)
	fault(cfg.DeadLetters < 1, "dead letters %d is below 1", cfg.DeadLetters)
	fault(cfg.Lease < shortestLease, "lease %v is below %v", cfg.Lease, shortestLease)
	fault(cfg.Grace < 0, "grace %v is below 0", cfg.Grace)
	return errors.Join(faults...)
}

const (
	firstPause = 100 * time.Millisecond
	maxPause   = 30 * time.Second
)

func defaultBackoff(attempt int) time.Duration {
	pause := maxPause
	if shift := attempt - 1; shift < 9 { // 2^9 · 100 ms is beyond maxPause
		pause = min(firstPause<<max(shift, 0), maxPause)
	}
	return pause - rand.N(pause/2)
}
