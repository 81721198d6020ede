package engine

import (
	"fmt"
	"time"

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
var packetTypes = [...]string{"open", "close", "ping", "pong", "message", "upgrade", "noop"}

// metrics are resolved once, so that the hot path neither hashes labels nor allocates.
type metrics struct {
	connections   map[string]prometheus.Gauge
	handshakes    *prometheus.CounterVec
	disconnects   map[CloseReason]prometheus.Counter
	packetsIn     [len(packetTypes)]prometheus.Counter
	packetsOut    [len(packetTypes)]prometheus.Counter
	bytesIn       map[string]prometheus.Counter
	bytesOut      map[string]prometheus.Counter
	slowConsumers prometheus.Counter
	panics        prometheus.Counter
	dropped       map[dropReason]prometheus.Counter
	delivery      prometheus.Histogram
}

// newMetrics makes the server's metrics and registers them when there is a registry. outbox tells the bytes waiting in
// all outboxes; it is asked once for each scrape.
func newMetrics(registry prometheus.Registerer, outbox func() float64) (*metrics, error) {
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "carillon", Name: name, Help: help}, labels)
	}
	connections := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: "carillon", Name: "connections", Help: "Open Engine.IO sessions by the transport in use.",
	}, []string{"transport"})
	handshakes := counters("handshakes_total", "Requests for a new session, by outcome.", "transport", "result")
	disconnects := counters("disconnects_total", "Sessions that ended, by reason.", "reason")
	packets := counters("packets_total", "Engine.IO packets.", "direction", "type")
	transferred := counters("bytes_total", "Payload bytes, without HTTP and TLS.", "direction", "transport")
	dropped := counters("dropped_total", "Outgoing messages that were not written to their client, by reason.", "reason")
	m := &metrics{
		connections: map[string]prometheus.Gauge{},
		handshakes:  handshakes,
		disconnects: map[CloseReason]prometheus.Counter{},
		bytesIn:     map[string]prometheus.Counter{},
		bytesOut:    map[string]prometheus.Counter{},
		dropped:     map[dropReason]prometheus.Counter{},
		slowConsumers: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "carillon", Name: "slow_consumers_total", Help: "Sessions closed because their outbox was full.",
		}),
		panics: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: "carillon", Name: "receiver_panics_total", Help: "Receivers that panicked, each ending its session.",
		}),
		delivery: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "carillon", Name: "delivery_seconds",
			Help:    "From the publish received to the message written, for the oldest message of each write.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
	for _, t := range []string{transportPolling, transportWebSocket} {
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
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: "carillon", Name: "outbox_bytes", Help: "Bytes waiting in the outboxes of all sessions.",
		}, outbox),
	} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("engine: register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) received(kind byte) { m.packetsIn[kind-packetOpen].Inc() }

// written counts one write: its packets, its bytes, and how long its oldest message took.
func (m *metrics) written(transport string, batch []*Frame, n int) {
	var count [len(packetTypes)]int
	oldest := int64(0)
	for _, f := range batch {
		count[f.kind-packetOpen]++
		if f.received != 0 && (oldest == 0 || f.received < oldest) {
			oldest = f.received
		}
	}
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
