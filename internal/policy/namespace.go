package policy

import (
	"strings"

	"github.com/carillon-io/carillon/internal/expression"
)

// ruleset is one whole configuration, compiled. It is immutable.
type ruleset struct {
	exact    map[string]*namespace
	patterns []*namespace // the longest first
}

// namespace is what one key of the configuration says. Immutable but for the counters.
type namespace struct {
	key     string // a name, or a prefix ending in *
	noRule  *judge
	refresh *judge // of tokens
	// requireToken lets in only sockets with a token.
	requireToken bool
	connect      hook
	rules        []*rule
	leaving      hook // disconnect
}

// hook is what happens at a connect or a disconnect.
type hook struct {
	judge *judge
	cond  *expression.Expression // nil: always
	do    []*action
}

// find returns what holds for a namespace: its name before patterns, a longer pattern before a shorter. nil when the
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
