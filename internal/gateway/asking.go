package gateway

import (
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/carillon-io/carillon/internal/ask"
	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/pkg/engine"
)

// newAsking makes what asks backends about clients. Headers that other nodes do not see are not shown to backends either.
func (g *Gateway) newAsking(o Options, registry prometheus.Registerer) (policy.Asking, error) {
	asker, err := ask.New(registry, g.logger.Named("ask"))
	if err != nil {
		return policy.Asking{}, err
	}
	before := g.close
	g.asker, g.close = asker, func() error {
		asker.Close()
		return before()
	}
	private := []string{"Authorization", "Cookie"}
	for _, name := range o.Config.Server.PrivateHeaders {
		private = append(private, http.CanonicalHeaderKey(name))
	}
	return policy.Asking{Asker: asker, Private: func(header string) bool { return slices.Contains(private, header) }}, nil
}

// checkAsking refuses handshakes while as many questions are asked as may be: their clients could not be let in, and would
// be sent away later.
func (g *Gateway) checkAsking(r *http.Request) *engine.Refusal {
	if r.Method == http.MethodGet && !g.limits.hasSession(r) && g.asker.Busy() {
		return unavailable("Too many clients are waiting for a backend", retryRate)
	}
	return nil
}
