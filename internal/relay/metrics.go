package relay

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// result is what became of a request, as the metric names it.
type result string

const (
	resultOK        result = "ok"
	resultUnknown   result = "unknown"   // the owner does not hold the session
	resultMalformed result = "malformed" // no session has such an id
	resultNoOwner   result = "no_owner"  // no live node has the tag
	resultLimited   result = "limited"   // the address guessed too often
	resultUnready   result = "unready"   // the secret or the peers are not known
	resultDead      result = "dead"      // nothing listens at the owner's address
	resultSlow      result = "slow"      // the owner did not answer in time
	resultRefused   result = "refused"   // the owner does not accept the signature
	resultTooLarge  result = "too_large"
	resultOverload  result = "overload"
	resultCancelled result = "cancelled" // the client left
	resultFailed    result = "failed"    // the owner cut the request
)

var results = []result{
	resultOK, resultUnknown, resultMalformed, resultNoOwner, resultLimited, resultUnready, resultDead, resultSlow,
	resultRefused, resultTooLarge, resultOverload, resultCancelled, resultFailed,
}

type metrics struct {
	requests map[result]prometheus.Counter
	refused  map[error]prometheus.Counter
	sockets  prometheus.Gauge
	bytes    map[string]prometheus.Counter
}

// Directions of a relayed WebSocket, as the metric names them.
const (
	toOwner  = "to_owner"
	toClient = "to_client"
)

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "carillon", Name: "relay_requests_total",
		Help: "Requests for sessions of other nodes, by what became of them. Many of them mean that the balancer is not sticky.",
	}, []string{"result"})
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "carillon", Name: "relay_refused_total",
		Help: "Requests on the peer listener that were refused, by reason.",
	}, []string{"reason"})
	sockets := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "carillon", Name: "relay_websockets", Help: "WebSockets of other nodes' sessions that pass through this node.",
	})
	transferred := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "carillon", Name: "relay_websocket_bytes_total", Help: "Bytes passed on between clients and other nodes, by direction.",
	}, []string{"direction"})
	m := &metrics{
		requests: make(map[result]prometheus.Counter), refused: make(map[error]prometheus.Counter), sockets: sockets,
		bytes: map[string]prometheus.Counter{
			toOwner: transferred.WithLabelValues(toOwner), toClient: transferred.WithLabelValues(toClient),
		},
	}
	for _, r := range results {
		m.requests[r] = requests.WithLabelValues(string(r))
	}
	for err, reason := range refusals {
		m.refused[err] = refused.WithLabelValues(reason)
	}
	if registry == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{requests, refused, sockets, transferred} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) count(r result) { m.requests[r].Inc() }

func zapPeer(address string) zap.Field  { return zap.String("peer", address) }
func zapReason(reason string) zap.Field { return zap.String("reason", reason) }
func zapError(err error) zap.Field      { return zap.Error(err) }
