package redis

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/carillon-io/carillon/internal/redispeers"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redisserver"
	"github.com/carillon-io/carillon/internal/redisstream"
	"github.com/carillon-io/carillon/internal/streamsession"
)

// Why a message to be published was dropped, beside what drops it below: the label of redis_publish_dropped_total.
const (
	dropInvalid redisqueue.Drop = "invalid" // cannot be put into bytes
	dropTrimmed redisqueue.Drop = "trimmed" // an answer of which only a part was sent
)

var publishDrops = []redisqueue.Drop{
	redisqueue.Full, redisqueue.Age, redisserver.Unknown, redisserver.Refused, dropInvalid, dropTrimmed, redisqueue.Shutdown,
}

// Why a received message was dropped, beside what drops it below.
const (
	droppedOwn         = redisserver.OtherDrops + iota // sent by this node
	droppedNoMember                                    // the room, or the namespace, has no member here
	droppedMalformed                                   // not what the protocol says
	droppedNamespace                                   // another namespace than the channel's
	droppedUnknownType                                 // a request or response of another protocol version
	droppedUnasked                                     // an answer to nothing that is open here
	droppedOverflow                                    // more answers than their reader keeps up with
	receiveDrops                                       // how many reasons there are
)

// receiveDropNames are the labels of redis_receive_dropped_total.
var receiveDropNames = [receiveDrops]string{
	redisserver.TooLarge: "too_large", redisserver.UnknownChannel: "unknown_channel",
	droppedOwn: "own", droppedNoMember: "no_member", droppedMalformed: "malformed", droppedNamespace: "namespace",
	droppedUnknownType: "unknown_type", droppedUnasked: "unasked", droppedOverflow: "overflow",
}

// refusedQuery is what redis_refused_total calls the counting of subscribers.
const refusedQuery = "query"

var refusalKinds = []string{
	redisserver.RefusedLogin, redisserver.RefusedSubscribe, redisserver.RefusedPublish, redisserver.RefusedProbe,
	redisstream.RefusedRead, redisstream.RefusedAppend, refusedQuery, redispeers.Refusal, streamsession.Refused,
}

type metrics struct {
	up              prometheus.Gauge
	in, out         prometheus.Counter
	queued          prometheus.Gauge
	publishDropped  map[redisqueue.Drop]prometheus.Counter
	receivedDropped [receiveDrops]prometheus.Counter
	resubscribes    prometheus.Counter
	trimmed         prometheus.Counter
	streamsDiffer   prometheus.Gauge
	probe           prometheus.Histogram
	nodes           prometheus.Gauge
	tagConflicts    prometheus.Counter
	refused         map[string]prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	messages := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_redis_messages_total",
		Help: "Messages received from Redis (in) and published to it (out), without this node's probes. Every message comes in " +
			"again at its publisher.",
	}, []string{"direction"})
	publishDropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_redis_publish_dropped_total",
		Help: "Messages for other nodes that were not published, by reason: Redis away for too long (age) or too many waiting " +
			"(full), refused by Redis (refused), still waiting at the end (shutdown), too long an answer cut short (trimmed), not " +
			"encodable (invalid); unknown ones were sent, and the connection ended before Redis answered. Clients on other nodes " +
			"miss them: see carillon_redis_up.",
	}, []string{"reason"})
	receivedDropped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_redis_receive_dropped_total",
		Help: "Messages received from Redis and not acted upon, by reason. own and no_member are part of normal work; malformed, " +
			"too_large, namespace and unknown_type come from a publisher that does something wrong.",
	}, []string{"reason"})
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "carillon_redis_refused_total",
		Help: "Commands that Redis refused because the user this node logs in as lacks the right, by what they were for. Above 0 is " +
			"a mistake in the password or the ACL of that user.",
	}, []string{"what"})
	m := &metrics{
		up: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "carillon_redis_up",
			Help: "1 while Redis answers commands, 0 while it does not. At 0 clients stay connected and hear only what is published on " +
				"their own node.",
		}),
		in:  messages.WithLabelValues("in"),
		out: messages.WithLabelValues("out"),
		queued: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "carillon_redis_publish_queue",
			Help: "Messages waiting to be published. Near 0 unless Redis is away or slow; over redis.queue the oldest are dropped and " +
				"counted in carillon_redis_publish_dropped_total.",
		}),
		publishDropped: make(map[redisqueue.Drop]prometheus.Counter),
		resubscribes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carillon_redis_resubscribes_total",
			Help: "Times the subscription was lost and built up again. Whatever others published in between was missed by this " +
				"node's clients: look at Redis and the network to it.",
		}),
		trimmed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carillon_redis_stream_trimmed_total",
			Help: "Times that entries of a stream were trimmed, or lost by Redis, before this node had read them: its clients missed " +
				"messages. Make the streams longer, or look at why the node falls behind.",
		}),
		streamsDiffer: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "carillon_redis_streams_differ",
			Help: "1 while other servers of the cluster use other streams than this node, so that they miss what each other " +
				"publishes. Give all of them the same name and number of streams.",
		}),
		probe: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "carillon_redis_probe_seconds",
			Help: "Seconds that a message of this node to itself took through Redis, once a second. When it rises, Redis or the " +
				"network to it is slow; when none arrives, the node is deaf.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9),
		}),
		nodes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "carillon_redis_nodes",
			Help: "Carillon nodes that this one knows to be alive by their heartbeats in Redis, itself included. It should be the " +
				"number of replicas on every node.",
		}),
		tagConflicts: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "carillon_redis_tag_conflicts_total",
			Help: "Times that another node was found to use the four characters that this node's socket ids begin with. Harmless, and " +
				"very rare.",
		}),
		refused: make(map[string]prometheus.Counter),
	}
	for _, reason := range publishDrops {
		m.publishDropped[reason] = publishDropped.WithLabelValues(string(reason))
	}
	for reason, name := range receiveDropNames {
		if name != "" {
			m.receivedDropped[reason] = receivedDropped.WithLabelValues(name)
		}
	}
	for _, what := range refusalKinds {
		m.refused[what] = refused.WithLabelValues(what)
	}
	if registry == nil {
		return m, nil
	}
	collectors := []prometheus.Collector{
		m.up, messages, m.queued, publishDropped, receivedDropped, m.resubscribes, m.trimmed, m.streamsDiffer, m.probe,
		m.nodes, m.tagConflicts, refused,
	}
	for _, c := range collectors {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// ofServers are those of what the servers do.
func (m *metrics) ofServers() redisserver.Metrics {
	return redisserver.Metrics{
		Queue: redisqueue.Metrics{
			Waiting: m.queued,
			Dropped: func(why redisqueue.Drop) { m.publishDropped[why].Inc() },
		},
		In:           m.in,
		Out:          m.out,
		Dropped:      func(why redisserver.Drop) { m.receivedDropped[why].Inc() },
		Resubscribes: m.resubscribes,
		Probe:        m.probe,
	}
}

// ofStreams are those of what the streams do.
func (m *metrics) ofStreams() redisstream.Metrics {
	return redisstream.Metrics{
		Queue:    m.ofServers().Queue,
		In:       m.in,
		Out:      m.out,
		Reopened: m.resubscribes,
		Trimmed:  m.trimmed,
	}
}

// registerStates adds the gauges that ask for the adapter's state with each scrape.
func registerStates(registry prometheus.Registerer, deaf func() bool, lag func() time.Duration) error {
	if registry == nil {
		return nil
	}
	gauges := []prometheus.GaugeFunc{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "carillon_redis_deaf",
			Help: "1 while Redis answers commands and yet this node hears none of its messages, not even its own. Its clients miss what " +
				"others publish, and it takes itself out of service. After a few minutes at 1, restart the node.",
		}, func() float64 {
			if deaf() {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "carillon_redis_stream_lag_seconds",
			Help: "Seconds since this node had last read its streams to their ends; about 1 at most while it keeps up, 0 without " +
				"streams. Its clients receive everything that much later, and what is trimmed meanwhile not at all.",
		}, func() float64 { return lag().Seconds() }),
	}
	for _, g := range gauges {
		if err := registry.Register(g); err != nil {
			return err
		}
	}
	return nil
}
