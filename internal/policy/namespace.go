package policy

import (
	"strings"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/expression"
)

// ruleset is one whole configuration, compiled. It is immutable but for the counters.
type ruleset struct {
	exact    map[string]*namespace
	patterns []*namespace // the longest first
	buckets  buckets
	events   *bucket // limits.events; nil: no limit

	unknown *tally // connects to namespaces that the configuration does not know
	removed *tally // events in namespaces that it does not know any more
}

// namespace is what one key of the configuration says.
type namespace struct {
	key     string // a name, or a prefix ending in *
	noRule  *tally
	refresh *tally // of tokens
	// requireToken lets in only sockets with a token.
	requireToken bool
	// ask is the backend that decides about sockets; nil: none.
	ask *config.Ask
	// asksAuth: rules may look at what a client says of itself.
	asksAuth   bool
	fresh      bool // recovery: false
	connect    hook
	rules      []*rule
	disconnect hook
}

// hook is what happens at a connect or a disconnect.
type hook struct {
	tally *tally
	cond  *expression.Expression // nil: always
	do    []*action
}

// find returns the rules of a namespace: its name before patterns, a longer pattern before a shorter. nil when the
// configuration does not know it.
func (s *ruleset) find(name string) *namespace {
	if n := s.exact[name]; n != nil {
		return n
	}
	for _, n := range s.patterns {
		if strings.HasPrefix(name, strings.TrimSuffix(n.key, "*")) {
			return n
		}
	}
	return nil
}

// prepare evaluates a hook: its condition, then all expressions of its actions.
func (h *hook) prepare(a *expression.Activation, d *Decision) ([]operation, *refusal) {
	holds, err := d.try(h.tally.label, h.cond, a)
	if err != nil {
		return nil, invalid("the condition cannot be evaluated", err)
	}
	if !holds {
		return nil, denied("not allowed")
	}
	operations, err := prepare(h.do, a)
	if err != nil {
		return nil, invalid("an expression cannot be evaluated", err)
	}
	return operations, nil
}
