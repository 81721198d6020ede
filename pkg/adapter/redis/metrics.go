package redis

import "github.com/prometheus/client_golang/prometheus"

// Why a message to be published was dropped: the closed label set of redis_publish_dropped_total.
type publishDrop string

const (
	dropFull     publishDrop = "full"     // more messages or bytes waiting than allowed
	dropAge      publishDrop = "age"      // waited too long
	dropUnknown  publishDrop = "unknown"  // sent, but the connection ended before Redis answered
	dropRefused  publishDrop = "refused"  // Redis answered with an error
	dropInvalid  publishDrop = "invalid"  // cannot be put into bytes
	dropTrimmed  publishDrop = "trimmed"  // an answer of which only a part was sent
	dropShutdown publishDrop = "shutdown" // still waiting when the adapter ended
)

var publishDrops = []publishDrop{
	dropFull, dropAge, dropUnknown, dropRefused, dropInvalid, dropTrimmed, dropShutdown,
}

// Why a received message was dropped: the closed label set of redis_receive_dropped_total.
type receiveDrop string

const (
	droppedOwn            receiveDrop = "own"             // sent by this node
	droppedNoMember       receiveDrop = "no_member"       // nobody in the room, or the namespace, here
	droppedUnknownChannel receiveDrop = "unknown_channel" // not one this node listens to
	droppedMalformed      receiveDrop = "malformed"       // not what the protocol says
	droppedTooLarge       receiveDrop = "too_large"       // over MaxMessage
	droppedNamespace      receiveDrop = "namespace"       // another namespace than the channel's
	droppedUnknownType    receiveDrop = "unknown_type"    // a request or response of another protocol version
	droppedUnasked        receiveDrop = "unasked"         // an answer to nothing that is open here
	droppedOverflow       receiveDrop = "overflow"        // more answers than their reader keeps up with
)

var receiveDrops = []receiveDrop{
	droppedOwn, droppedNoMember, droppedUnknownChannel, droppedMalformed, droppedTooLarge, droppedNamespace,
	droppedUnknownType, droppedUnasked, droppedOverflow,
}

type metrics struct {
	up              prometheus.Gauge
	in, out         prometheus.Counter
	queued          prometheus.Gauge
	publishDropped  map[publishDrop]prometheus.Counter
	receivedDropped map[receiveDrop]prometheus.Counter
	resubscribes    prometheus.Counter
	probe           prometheus.Histogram
	nodes           prometheus.Gauge
	tagConflicts    prometheus.Counter
	refused         map[refusal]prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	messages := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_redis_messages_total",
		Help: "Pub/Sub messages received from and taken by Redis, without probes.",
	}, []string{"direction"})
	publishDropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_redis_publish_dropped_total",
		Help: "Messages that did not, or may not have, reached Redis.",
	}, []string{"reason"})
	receivedDropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_redis_receive_dropped_total",
		Help: "Messages received from Redis and not acted upon.",
	}, []string{"reason"})
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_redis_refused_total",
		Help: "What Redis refused this node for lack of rights.",
	}, []string{"what"})
	m := &metrics{
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "carillon_redis_up",
			Help: "Whether Redis answers commands.",
		}),
		in:  messages.WithLabelValues("in"),
		out: messages.WithLabelValues("out"),
		queued: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "carillon_redis_publish_queue",
			Help: "Messages waiting to be published.",
		}),
		publishDropped:  make(map[publishDrop]prometheus.Counter),
		receivedDropped: make(map[receiveDrop]prometheus.Counter),
		resubscribes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carillon_redis_resubscribes_total",
			Help: "Subscriptions that replaced a lost one; messages published in between were missed.",
		}),
		probe: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "carillon_redis_probe_seconds",
			Help:    "From queueing a probe to hearing it on the subscription.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9),
		}),
		nodes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "carillon_redis_nodes",
			Help: "Gateway nodes whose heartbeats are in Redis, this one included.",
		}),
		tagConflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carillon_redis_tag_conflicts_total",
			Help: "Times this node found its tag in the hands of another one.",
		}),
		refused: make(map[refusal]prometheus.Counter),
	}
	for _, reason := range publishDrops {
		m.publishDropped[reason] = publishDropped.WithLabelValues(string(reason))
	}
	for _, reason := range receiveDrops {
		m.receivedDropped[reason] = receivedDropped.WithLabelValues(string(reason))
	}
	for _, what := range refusalKinds {
		m.refused[what] = refused.WithLabelValues(string(what))
	}
	if registry == nil {
		return m, nil
	}
	collectors := []prometheus.Collector{
		m.up, messages, m.queued, publishDropped, receivedDropped, m.resubscribes, m.probe,
		m.nodes, m.tagConflicts, refused,
	}
	for _, c := range collectors {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
