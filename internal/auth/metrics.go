package auth

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what became of key sets.
type metrics struct {
	fetches map[string]prometheus.Counter // by result
	keys    prometheus.Gauge
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	fetches := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "carillon", Name: "jwks_fetches_total",
		Help: "Fetches of the key set at auth.jwt.jwks by result: ok, timeout, unreachable, status (not 200), redirect (to another " +
			"host), too_large, malformed.",
	}, []string{"result"})
	m := &metrics{
		fetches: make(map[string]prometheus.Counter, len(fetchResults)),
		keys: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "carillon", Name: "jwks_keys",
			Help: "Keys that signatures can be checked with in the key set fetched last. 0: none was fetched yet, or none is configured.",
		}),
	}
	for _, result := range fetchResults {
		m.fetches[result] = fetches.WithLabelValues(result)
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{fetches, m.keys} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("auth: register metrics: %w", err)
		}
	}
	return m, nil
}
