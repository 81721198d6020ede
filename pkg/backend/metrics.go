package backend

import (
	"github.com/prometheus/client_golang/prometheus"
)

// result is what became of an entry: the closed label set of backend_entries_total.
type result string

const (
	resultDone      result = "done"      // acknowledged
	resultAnswered  result = "answered"  // acknowledged, and the client answered
	resultRetried   result = "retried"   // an attempt failed; the entry is handled again
	resultDead      result = "dead"      // a dead letter, after the last attempt or by verdict
	resultMalformed result = "malformed" // a dead letter, because it is no entry of a gateway
	resultFenced    result = "fenced"    // handled, but the lease was another process's by then: no effect
	resultMissing   result = "missing"   // trimmed or deleted from the stream before it was handled
)

var results = []result{
	resultDone, resultAnswered, resultRetried, resultDead, resultMalformed, resultFenced, resultMissing,
}

type metrics struct {
	entries    map[result]prometheus.Counter
	seconds    prometheus.Histogram
	partitions prometheus.Gauge
	inMemory   prometheus.Gauge
	held       prometheus.Gauge
	lost       prometheus.Counter
	answers    prometheus.Counter // that Redis refused
}

func newMetrics(cfg *Config) *metrics {
	labels := prometheus.Labels{"route": cfg.Route, "group": cfg.Group}
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "carillon", Subsystem: "backend", Name: name, Help: help, ConstLabels: labels}
	}
	entries := prometheus.NewCounterVec(prometheus.CounterOpts(opts("entries_total", "Entries of the route by what became of them.")),
		[]string{"result"})
	m := &metrics{
		entries: make(map[result]prometheus.Counter),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "carillon", Subsystem: "backend", Name: "handle_seconds", ConstLabels: labels,
			Help:    "How long handlers take for an entry.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		partitions: prometheus.NewGauge(prometheus.GaugeOpts(opts("partitions", "Partitions that this process consumes."))),
		inMemory:   prometheus.NewGauge(prometheus.GaugeOpts(opts("entries_in_memory", "Entries that are read and not yet acknowledged."))),
		held: prometheus.NewGauge(prometheus.GaugeOpts(opts("entries_held",
			"Entries that wait in Redis behind a slow or failing one of their socket."))),
		lost: prometheus.NewCounter(prometheus.CounterOpts(opts("leases_lost_total",
			"Partitions that another process took over while this one believed to hold them."))),
		answers: prometheus.NewCounter(prometheus.CounterOpts(opts("answers_refused_total", "Answers that Redis refused to store."))),
	}
	for _, r := range results {
		m.entries[r] = entries.WithLabelValues(string(r))
	}
	if cfg.Registerer != nil {
		cfg.Registerer.MustRegister(entries, m.seconds, m.partitions, m.inMemory, m.held, m.lost, m.answers)
	}
	return m
}
