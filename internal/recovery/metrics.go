package recovery

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are those of one node.
type Metrics struct {
	results  [results]prometheus.Counter
	moves    prometheus.Histogram
	failures [failures]prometheus.Counter
	refusals [reasons]prometheus.Counter
	store    atomic.Pointer[Store] // nil: recovery is off
}

// NewMetrics makes the metrics. registry may be nil: then nothing is registered.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	m := new(Metrics)
	claims := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_recoveries_total",
		Help: "Clients that came back for the session they had before their connection broke, by what became of it: recovered, with all " +
			"they had missed (moved: from another node), or a new socket, because the session had ended (expired), this node never had " +
			"it (unknown), its connection still answered or the client turned out to be another (refused), the node that has it could not be " +
			"reached for too long (unreached), or what the client missed was not kept any more (truncated): " +
			"socketio.recovery.bytes is too small then.",
	}, []string{"result"})
	m.moves = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "carillon_recovery_move_seconds",
		Help: "From the moment in which a client claims a session of another node's until the session is here; about a second of it where " +
			"its connection there still counted as open and was pinged.",
		Buckets: []float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	})
	for r, label := range resultLabels {
		m.results[r] = claims.WithLabelValues(label)
	}
	failed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_recovery_move_failures_total",
		Help: "Tries to move a session of another node's here that came to nothing, by what failed; the session stays where it is, and its " +
			"client is sent away to try again. The other node was not reached, or its answer broke off (unreached), it could not hand the " +
			"session over at the moment (declined), its answer made no sense (malformed); Redis did not answer about the session " +
			"(registry), a subscription or a fence did not come in time (fence), another node was faster (raced), too many sessions " +
			"came at once (busy), more was to be kept meanwhile than may be (memory), the client left (left).",
	}, []string{"reason"})
	for f, label := range failureLabels {
		m.failures[f] = failed.WithLabelValues(label)
	}
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_recovery_refusals_total",
		Help: "Clients that came back for their session and got a new socket, by the reason: why those of carillon_recoveries_total that " +
			"were neither recovered nor moved were not. The reasons are in docs/recovery.md.",
	}, []string{"reason"})
	for r := range reasons {
		m.refusals[r] = refused.WithLabelValues(r.String())
	}
	absent := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "carillon_recovery_absent_sockets",
		Help: "Sockets whose connection broke, and whose clients may still come back for them.",
	}, func() float64 {
		if s := m.store.Load(); s != nil {
			return float64(s.Absent())
		}
		return 0
	})
	bytes := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "carillon_recovery_log_bytes",
		Help: "Memory that holds events, absent sockets and journals of rooms for clients that come back, at most socketio.recovery.bytes.",
	}, func() float64 {
		if s := m.store.Load(); s != nil {
			return float64(s.Held())
		}
		return 0
	})
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{claims, m.moves, failed, refused, absent, bytes} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Took counts a session that has come from another node, by how long that took.
func (m *Metrics) Took(d time.Duration) { m.moves.Observe(d.Seconds()) }
