package streamsession

import "github.com/prometheus/client_golang/prometheus"

// Metrics are those of one node.
type Metrics struct {
	Kept    prometheus.Gauge   // sessions that this node keeps
	Written prometheus.Counter // texts, because a session began or changed
	Renewed prometheus.Counter // times that a session was kept for longer
	Failed  prometheus.Counter // writes and renewals that Redis did not answer, or refused
	Lost    prometheus.Counter // sessions that another server has taken while their clients were connected or absent here
}

// NewMetrics makes the metrics; registry may be nil.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "carillon_stream_sessions_" + name, Help: help})
	}
	m := &Metrics{
		Kept: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "carillon_stream_sessions",
			Help: "Sessions of this node that are kept in Redis, for clients that come back after the node was killed (adapter.kind: streams with recovery).",
		}),
		Written: counter("written_total", "Sessions written to Redis because they had begun or changed."),
		Renewed: counter("renewed_total", "Sessions that were kept in Redis for longer because their clients are connected."),
		Failed: counter("failed_total", "Writes and renewals of sessions that Redis refused or did not answer. They are repeated; if the node is "+
			"killed before, its clients get new sockets or come back with rooms of a moment before."),
		Lost: counter("taken_total", "Sessions that another server has taken: their clients have come back there."),
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.Kept, m.Written, m.Renewed, m.Failed, m.Lost} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
