package engine

import (
	"fmt"
	"time"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/frame"
	"github.com/prometheus/client_golang/prometheus"
)

// The label values of carillon_handshakes_total{result}.
const (
	resultOK               = "ok"
	resultBadMethod        = "bad method"
	resultBadRequest       = "bad request"
	resultForbidden        = "forbidden"
	resultUnsupported      = "unsupported version"
	resultUnavailable      = "unavailable"
	resultTooMany          = "too many"
	resultTooManyOfAddress = "too many of address"
)

// dropReason is a label value of carillon_dropped_total.
type dropReason string

const (
	dropVolatile dropReason = "volatile" // a volatile message found its client behind
	dropEnded    dropReason = "ended"    // the session had ended, or ended before the message was written
	dropOverflow dropReason = "overflow" // the message that made its client a slow consumer
	dropFailed   dropReason = "failed"   // its write failed; a part may have arrived
)

// packetTypes are the label values of carillon_packets_total, at the index of the packet's digit.
var packetTypes = [frame.Types]string{"open", "close", "ping", "pong", "message", "upgrade", "noop"}

// metrics are resolved once, so that the hot path neither hashes labels nor allocates.
type metrics struct {
	connections   map[string]prometheus.Gauge
	handshakes    *prometheus.CounterVec
	disconnects   map[CloseReason]prometheus.Counter
	packetsIn     [frame.Types]prometheus.Counter
	packetsOut    [frame.Types]prometheus.Counter
	bytesIn       map[string]prometheus.Counter
	bytesOut      map[string]prometheus.Counter
	slowConsumers prometheus.Counter
	panics        prometheus.Counter
	dropped       map[dropReason]prometheus.Counter
	delivery      prometheus.Histogram
}

// gauges are asked for with each scrape.
type gauges struct{ sessionsLimit, outboxes, outboxesLimit, inbound, inboundLimit func() int64 }

// newMetrics makes the server's metrics and registers them when there is a registry.
func newMetrics(registry prometheus.Registerer, g gauges) (*metrics, error) {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "carillon", Name: name, Help: help}, labels)
	}
	connections := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "carillon", Name: "connections",
		Help: "Clients connected to this node, by the transport they use now; native is a plain WebSocket, sse an event stream. " +
			"Near carillon_connections_limit new clients are about to be turned away: add nodes.",
	}, []string{"transport"})
	handshakes := counters("handshakes_total", "Clients that asked for a new session, by what came of it. "+
		"A rate that stays far above that of new users is clients that lose their connection and come back: "+
		"see carillon_disconnects_total for why.", "transport", "result")
	disconnects := counters("disconnects_total", "Sessions that ended, by reason, in the words of Socket.IO. "+
		"\"ping timeout\" and \"transport error\" are networks or balancers, \"slow consumer\" and \"limit\" limits of this "+
		"node, \"transport close\" clients that left.", "reason")
	packets := counters("packets_total", "Engine.IO packets from clients (in) and to clients (out), by type; "+
		"events travel in those of type message.", "direction", "type")
	transferred := counters("bytes_total", "Bytes of packets from clients (in) and to clients (out), "+
		"without the overhead of HTTP and TLS.", "direction", "transport")
	dropped := counters("dropped_total", "Messages for clients that were not written, by reason: volatile ones for a client "+
		"that was behind (volatile), the one that closed a slow client (overflow), those of sessions that had ended (ended), and "+
		"failed writes (failed). Only overflow and failed point at trouble.", "reason")
	m := &metrics{
		connections: map[string]prometheus.Gauge{},
		handshakes:  handshakes,
		disconnects: map[CloseReason]prometheus.Counter{},
		bytesIn:     map[string]prometheus.Counter{},
		bytesOut:    map[string]prometheus.Counter{},
		dropped:     map[dropReason]prometheus.Counter{},
		slowConsumers: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "carillon", Name: "slow_consumers_total",
			Help: "Clients disconnected because they read more slowly than they are sent to, so that what waits for them stayed over " +
				"engine.outbox without progress or went over engine.outbox_hard, or that of all clients over limits.outbox_total. When it rises, send less, or volatile, to whom it hits.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "carillon", Name: "receiver_panics_total",
			Help: "Panics while a client's message was read, each of which ended that client's session. Above 0 is a bug: please report " +
				"it with the log's stack trace.",
		}),
		delivery: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "carillon", Name: "delivery_seconds",
			Help: "Seconds from a publish received from Redis until it was written to a client, for the oldest message of each " +
				"write. When it rises, clients or their networks are slow, or this node lacks CPU.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
	for _, t := range transports {
		m.connections[t] = connections.WithLabelValues(t)
		m.bytesIn[t] = transferred.WithLabelValues("in", t)
		m.bytesOut[t] = transferred.WithLabelValues("out", t)
		for _, result := range []string{
			resultOK, resultBadMethod, resultBadRequest, resultForbidden, resultUnsupported, resultUnavailable,
			resultTooMany, resultTooManyOfAddress,
		} {
			handshakes.WithLabelValues(t, result)
		}
	}
	for _, reason := range closeReasons {
		m.disconnects[reason] = disconnects.WithLabelValues(string(reason))
	}
	for i, name := range packetTypes {
		m.packetsIn[i] = packets.WithLabelValues("in", name)
		m.packetsOut[i] = packets.WithLabelValues("out", name)
	}
	for _, reason := range []dropReason{dropVolatile, dropEnded, dropOverflow, dropFailed} {
		m.dropped[reason] = dropped.WithLabelValues(string(reason))
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{
		connections, handshakes, disconnects, packets, transferred, dropped, m.slowConsumers, m.panics,
		m.delivery,
		gauge("connections_limit",
			"How many clients, and connections of clients, this node takes at once: limits.connections, else what its file descriptors "+
				"allow; 0 is no limit.",
			g.sessionsLimit),
		gauge("outbox_bytes",
			"Bytes of memory waiting to be written to clients, of all clients together. When it rises, many clients read too slowly; near "+
				"carillon_outbox_limit_bytes those with most waiting are disconnected.",
			g.outboxes),
		gauge("outbox_limit_bytes",
			"Bytes of memory that may wait for all clients together, from limits.outbox_total; 0 is no limit.",
			g.outboxesLimit),
		gauge("inbound_bytes",
			"Bytes of memory that hold what clients have sent: messages and POST bodies of which a part has arrived, and what each session "+
				"keeps of its handshake and credentials. Near carillon_inbound_limit_bytes the largest unfinished messages end their "+
				"sessions, and new clients are turned away.",
			g.inbound),
		gauge("inbound_limit_bytes",
			"Bytes of memory that may hold what clients have sent, from limits.outbox_total; 0 is no limit.",
			g.inboundLimit),
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("engine: register metrics: %w", err)
		}
	}
	return m, nil
}

// gauge asks read once for each scrape.
func gauge(name, help string, read func() int64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "carillon", Name: name, Help: help},
		func() float64 { return float64(read()) })
}

func (m *metrics) received(kind byte) { m.packetsIn[kind-eioproto.Open].Inc() }

// written counts one write: its packets, its bytes, and how long its oldest message took.
func (m *metrics) written(transport string, batch []*frame.Frame, n int) {
	count, oldest := frame.Count(batch)
	for i, c := range count {
		if c > 0 {
			m.packetsOut[i].Add(float64(c))
		}
	}
	m.bytesOut[transport].Add(float64(n))
	if oldest != 0 {
		m.delivery.Observe(float64(time.Now().UnixNano()-oldest) / 1e9)
	}
}
