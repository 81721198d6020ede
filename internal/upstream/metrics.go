package upstream

import (
	"errors"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Results of an event.
const (
	resultStored      = "stored"
	resultOverloaded  = "overloaded"
	resultUnavailable = "unavailable"
	resultInvalid     = "invalid"
	resultLost        = "lost"
	resultGone        = "gone"
)

type metrics struct {
	events  *prometheus.CounterVec
	append  *prometheus.HistogramVec
	lag     *prometheus.GaugeVec
	refused *prometheus.CounterVec
	reaped  prometheus.Counter
	lost    prometheus.Counter
	answers struct{ delivered, late, unknown, malformed, gone prometheus.Counter }
}

func newMetrics(registry prometheus.Registerer, u *Upstream) (*metrics, error) {
	m := &metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carillon_upstream_events_total",
			Help: "Events of clients that rules forward to a route, by what became of them: stored (Redis has confirmed it), overloaded " +
				"(the stream is at max_entries, or too much waits), unavailable (not confirmed before the route's deadline; it may be " +
				"stored all the same), invalid (too many attachments), lost (this node was declared lost), gone (the client left while " +
				"its event waited for room).",
		}, []string{"route", "result"}),
		append: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "carillon_upstream_append_seconds",
			Help:    "How long Redis took to store a batch of entries, retries and replicas included.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route"}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "carillon_upstream_lag",
			Help: "Entries of a route that a consumer group has not acknowledged, over all partitions. Every node measures it: take the " +
				"maximum.",
		}, []string{"route", "group"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "carillon_upstream_refused_total",
			Help: "Commands that Redis refused for lack of rights: a mistake in its ACL. docs/redis.md lists the rights.",
		}, []string{"what"}),
		reaped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carillon_upstream_nodes_lost_total",
			Help: "Nodes whose heartbeat ended without their leaving, and whose sockets this node has ended in the streams.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carillon_upstream_declared_lost_total",
			Help: "How often this node found that others had declared it lost: it closed its sockets.",
		}),
	}
	answers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_upstream_answers_total",
		Help: "Answers of backends by what became of them: delivered, late (after the deadline), unknown (no event waits for it, as after " +
			"a first answer), malformed (no JSON list, too deep, too large), gone (the client has left).",
	}, []string{"result"})
	m.answers.delivered, m.answers.late = answers.WithLabelValues("delivered"), answers.WithLabelValues("late")
	m.answers.unknown, m.answers.malformed = answers.WithLabelValues("unknown"), answers.WithLabelValues("malformed")
	m.answers.gone = answers.WithLabelValues("gone")
	held := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "carillon_upstream_held_bytes",
		Help: "Memory of events that wait for Redis, and of those that wait for a backend's answer. At 64 MiB clients that forward are not " +
			"read until some of it is free.",
	}, func() float64 { return float64(u.budget.Held()) })
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.events, m.append, m.lag, m.refused, m.reaped, m.lost, answers, held} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("upstream: register metrics: %w", err)
		}
	}
	return m, nil
}

// routeMetrics are those of one route.
type routeMetrics struct {
	name                                                 string
	stored, overloaded, unavailable, invalid, lost, gone prometheus.Counter
	seconds                                              prometheus.Observer
	lag                                                  *prometheus.GaugeVec

	mu sync.Mutex
	// mu guards the following.
	groups map[string]float64 // as shown
}

// route makes every count of a route appear, at 0.
func (m *metrics) route(name string) *routeMetrics {
	result := func(label string) prometheus.Counter { return m.events.WithLabelValues(name, label) }
	return &routeMetrics{
		name: name, stored: result(resultStored), overloaded: result(resultOverloaded), unavailable: result(resultUnavailable),
		invalid: result(resultInvalid), lost: result(resultLost), gone: result(resultGone),
		seconds: m.append.WithLabelValues(name), lag: m.lag,
	}
}

// count counts what became of an event.
func (m *routeMetrics) count(err error) {
	switch {
	case err == nil:
		m.stored.Inc()
	case errors.Is(err, ErrOverloaded):
		m.overloaded.Inc()
	case errors.Is(err, ErrLost):
		m.lost.Inc()
	case errors.Is(err, ErrGone):
		m.gone.Inc()
	default:
		m.unavailable.Inc()
	}
}

// expect shows groups that have not been measured yet.
func (m *routeMetrics) expect(groups []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, group := range groups {
		if _, there := m.groups[group]; !there {
			m.lag.WithLabelValues(m.name, group).Set(0)
		}
	}
}

// setLag shows how far the groups are behind. A group that is no more is taken away.
func (m *routeMetrics) setLag(now map[string]float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for group := range m.groups {
		if _, there := now[group]; !there {
			m.lag.DeleteLabelValues(m.name, group)
		}
	}
	for group, behind := range now {
		m.lag.WithLabelValues(m.name, group).Set(behind)
	}
	m.groups = now
}
