package pythonbus

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// drop says why a message came to nothing: the closed label set of carillon_python_dropped_total.
type drop int

const (
	dropPickle      drop = iota // received: a pickle
	dropMalformed               // received: not a message of python-socketio
	dropTooLarge                // received: over MaxMessage
	dropMethod                  // received: a method that is not known
	dropUnasked                 // received: an acknowledgement that nothing waits for
	dropUnsupported             // to be published: python-socketio has no message for it
	dropFull                    // to be published: too much waits
	dropAge                     // to be published: waited too long
	dropRefused                 // published: Redis answered with an error
	dropUnknown                 // published: the connection ended before Redis answered
	dropShutdown                // to be published when the node ended
	drops
)

var dropLabels = [drops][2]string{
	dropPickle: {"in", "pickle"}, dropMalformed: {"in", "malformed"}, dropTooLarge: {"in", "too_large"},
	dropMethod: {"in", "unknown_method"}, dropUnasked: {"in", "unasked"},
	dropUnsupported: {"out", "unsupported"}, dropFull: {"out", "full"}, dropAge: {"out", "age"},
	dropRefused: {"out", "refused"}, dropUnknown: {"out", "unknown"}, dropShutdown: {"out", "shutdown"},
}

type metrics struct {
	up      prometheus.Gauge
	in, out prometheus.Counter
	dropped [drops]prometheus.Counter

	mu     sync.Mutex
	logged [drops]time.Time // when a drop of the kind was logged last
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	messages := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_python_messages_total",
		Help: "Messages received on python-socketio's channel (in), without those of gateways, and published there (out).",
	}, []string{"direction"})
	dropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_python_dropped_total",
		Help: "Messages on python-socketio's channel that came to nothing, by direction and reason. in: pickle is a python-socketio " +
			"before 5.14.0, malformed no message of python-socketio at all, too_large over adapter.max_message. out: unsupported is " +
			"what its format cannot say, such as an event except a room; full, age, refused, unknown and shutdown as in " +
			"carillon_redis_publish_dropped_total.",
	}, []string{"direction", "reason"})
	m := &metrics{
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "carillon_python_up",
			Help: "1 while this node is subscribed to python-socketio's channel. At 0 its clients miss what Python publishes.",
		}),
		in: messages.WithLabelValues("in"), out: messages.WithLabelValues("out"),
	}
	for reason, labels := range dropLabels {
		m.dropped[reason] = dropped.WithLabelValues(labels[0], labels[1])
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.up, messages, dropped} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) drop(reason drop) { m.dropped[reason].Inc() }

// news reports whether none of the kind was logged in the last minute, and records that one is now.
func (m *metrics) news(reason drop, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last := m.logged[reason]; !last.IsZero() && now.Sub(last) < time.Minute {
		return false
	}
	m.logged[reason] = now
	return true
}
