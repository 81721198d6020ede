package policy

import (
	"maps"
	"slices"
	"sync/atomic"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/expression"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Options are what a Policy stands in. The zero value works.
type Options struct {
	Logger   *zap.Logger           // nil: none
	Registry prometheus.Registerer // nil: metrics are kept, not registered
	// OnDecision is called with the record of every decision, from any goroutine. It must not block. nil: nothing is
	// recorded, unless the logger is at level debug.
	OnDecision func(*Decision)
	// MaxDepth is how many arrays and objects in each other other nodes read; a rule that would send more refuses the event.
	// 0: no limit but the codec's.
	MaxDepth int
	Tokens   Tokens // that sockets bring
	Asking   Asking // of backends whether a socket may join
	// Connected reports whether the cluster answers; while it does not, a connect does not wait for its joins to be
	// known there. nil: it always does.
	Connected func() bool
	// Backends takes what rules forward; nil: there are none, and forwarded events are refused as unavailable.
	Backends Backends
}

// Policy decides what clients' events do. Safe for concurrent use.
type Policy struct {
	// Static after construction.
	environments expression.Environments
	counter      *prometheus.CounterVec
	logger       *zap.Logger
	onDecision   func(*Decision)
	maxDepth     int
	connected    func() bool
	tokens       Tokens
	asking       Asking
	backends     Backends

	deadlines auth.Deadlines // of tokens

	current atomic.Pointer[ruleset]
}

// Config is what a Policy follows.
type Config struct {
	Namespaces map[string]config.Namespace
	Events     config.Bucket // limits.events: of each connection
}

// New compiles the rules of all namespaces. A fault in them is a *config.Error that names them all.
func New(cfg Config, options Options) (*Policy, error) {
	environments, err := expression.NewEnvironments()
	if err != nil {
		return nil, err
	}
	p := &Policy{
		environments: environments,
		logger:       options.Logger,
		onDecision:   options.OnDecision,
		maxDepth:     options.MaxDepth,
		connected:    options.Connected,
		tokens:       options.Tokens,
		asking:       options.Asking,
		backends:     options.Backends,
	}
	if p.logger == nil {
		p.logger = zap.NewNop()
	}
	set, err := p.compile(cfg)
	if err != nil {
		return nil, err
	}
	if p.counter, err = newDecisionCounter(options.Registry); err != nil {
		return nil, err
	}
	p.use(set)
	return p, nil
}

// Check compiles the rules of all namespaces only to report what is wrong with them, and what their author may not have
// meant. Namespaces that the configuration already found fault with do no harm.
func Check(namespaces map[string]config.Namespace) ([]config.Fault, []config.Warning) {
	environments, err := expression.NewEnvironments()
	if err != nil {
		return []config.Fault{{Key: "namespaces", Message: err.Error()}}, nil
	}
	c := compiler{environments: environments}
	c.compile(Config{Namespaces: namespaces})
	return c.faults, c.warnings
}

// Replace compiles another configuration and puts it in the place of the present one: sockets follow it from their next
// event on. Token buckets whose rate is the same stay as they are. After a fault the present configuration stands.
func (p *Policy) Replace(cfg Config) error {
	set, err := p.compile(cfg)
	if err != nil {
		return err
	}
	p.use(set)
	return nil
}

func (p *Policy) compile(cfg Config) (*ruleset, error) {
	c := compiler{environments: p.environments}
	set := c.compile(cfg)
	if len(c.faults) > 0 {
		return nil, &config.Error{Faults: c.faults}
	}
	return set, nil
}

func (p *Policy) use(set *ruleset) {
	set.enforce(p.counter, p.logger, p.current.Load())
	p.current.Store(set)
}

// Install makes the server follow the policy in all its namespaces. It is called once, before the server serves.
// Namespaces with a name exist from now on, those of a pattern, and those Replace adds, when a client first asks for
// one.
func (p *Policy) Install(io *socketio.Server) {
	for name := range p.current.Load().exact {
		p.govern(io.Of(name))
	}
	io.OfFunc(p.knows, p.govern)
}

// knows reports whether the configuration has rules for a namespace. The server asks when a client wants to connect to one
// that does not exist yet, so no is a refusal, which no socket reports.
func (p *Policy) knows(name string) bool {
	set := p.current.Load()
	if set.find(name) != nil {
		return true
	}
	var d *Decision
	if p.recording() {
		d = &Decision{Namespace: name}
	}
	p.report(set.unknown, d, &refusal{code: Denied, message: invalidNamespace})
	return false
}

// Label is the key of the configuration that a namespace falls under, which is what metrics call it. Empty when there is none.
func (p *Policy) Label(namespace string) string {
	if n := p.current.Load().find(namespace); n != nil {
		return n.key
	}
	return ""
}

// Labels are all that Label may answer as the configuration stands, but for the empty one.
func (p *Policy) Labels() []string {
	set := p.current.Load()
	labels := slices.Collect(maps.Keys(set.exact))
	for _, n := range set.patterns {
		labels = append(labels, n.key)
	}
	return labels
}

// govern makes a namespace's sockets follow the policy.
func (p *Policy) govern(n *socketio.Namespace) {
	n.SetLogic(func(s *socketio.Socket, shared *conn.Values) conn.Logic {
		return &logic{policy: p, client: client{socket: serverSocket{s}}, shared: shared}
	})
}

// away reports whether the cluster is known not to answer.
func (p *Policy) away() bool { return p.connected != nil && !p.connected() }
