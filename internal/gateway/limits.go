package gateway

import (
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio"
)

// limiter refuses what would be too much for the node. Every refusal passes by itself, so it is a 503 that clients try
// again after.
type limiter struct {
	// Static after construction.
	path        string                  // of Socket.IO, without a slash at its end
	server      func() *socketio.Server // first asked with the first request
	proxies     trustedProxies
	connections *connections
	descriptors int // connections that the process's file descriptors allow; 0: unknown, no limit
	refused     map[refusedBy]prometheus.Counter

	handshakes  atomic.Pointer[rate.Limiter] // never nil
	unknownSIDs atomic.Int64                 // per second and address; 0: no limit
	unknown     addressWindow
}

// refusedBy is the limit that refused a request, as the metric names it.
type refusedBy string

const (
	byConnections refusedBy = "connections"
	byHandshakes  refusedBy = "handshakes"
	byUnknownSIDs refusedBy = "unknown_sids"
)

// retryRate is what a client is asked to wait where too many come at once.
const retryRate = time.Second

// newLimiter makes a limiter without limits; set puts them in force.
func newLimiter(path string, proxies trustedProxies, server func() *socketio.Server, registry prometheus.Registerer, logger *zap.Logger) *limiter {
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "carillon", Name: "limited_total", Help: "Requests refused because a limit was reached, by limit.",
	}, []string{"limit"})
	registry.MustRegister(refused)
	const plenty = 1 << 30
	descriptors := int(min(fileDescriptors(), plenty))
	l := &limiter{
		path:        strings.TrimSuffix(path, "/"),
		server:      server,
		proxies:     proxies,
		descriptors: descriptors - reserve(descriptors),
		refused:     make(map[refusedBy]prometheus.Counter),
	}
	for _, limit := range []refusedBy{byConnections, byHandshakes, byUnknownSIDs} {
		l.refused[limit] = refused.WithLabelValues(string(limit))
	}
	l.connections = newConnections(descriptors, l.refused[byConnections], logger)
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: "carillon", Name: "client_connections",
		Help: "TCP connections open at the clients' listener. A polling client has two or three; each counts towards carillon_connections_limit.",
	}, func() float64 { return float64(l.connections.open.Load()) }))
	return l
}

// set puts other limits in force. Who is already in stays.
func (l *limiter) set(cfg config.Limits) {
	connections := cfg.Connections
	if connections == 0 {
		connections = l.descriptors
	}
	l.connections.limit.Store(int64(connections))
	total := int(cfg.OutboxTotal.Of(memoryLimit()))
	server := l.server()
	server.Engine().SetLimits(engine.Limits{
		Sessions: connections, PerAddress: cfg.ConnectionsPerIP, Outboxes: total, Inbound: total,
	})
	server.SetLimits(socketio.Limits{
		Rooms: cfg.Rooms, Dynamic: cfg.Namespaces, ConnectRate: cfg.Connects.Rate, ConnectBurst: cfg.Connects.Burst,
	})
	l.unknownSIDs.Store(int64(cfg.UnknownSIDs))
	perSecond := rate.Limit(cfg.Handshakes)
	if cfg.Handshakes == 0 {
		perSecond = rate.Inf
	}
	l.handshakes.Store(rate.NewLimiter(perSecond, cfg.Handshakes))
}

// check refuses handshakes that come too fast; the engine counts those that stay.
func (l *limiter) check(r *http.Request) *engine.Refusal {
	if r.Method != http.MethodGet || l.hasSession(r) {
		return nil
	}
	if !l.handshakes.Load().Allow() {
		l.refused[byHandshakes].Inc()
		return unavailable("Too many handshakes", retryRate)
	}
	return nil
}

// hasSession reports whether a request names a session, of whatever kind. To a door a name means nothing.
func (l *limiter) hasSession(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, l.path) && engine.ParseQuery(r.URL.RawQuery).Get("sid") != ""
}

// unknown answers requests for sessions that this node does not hold: the peers know, or there are none.
func (g *Gateway) unknown(w http.ResponseWriter, r *http.Request) {
	if g.peers != nil {
		g.peers.relay.ServeHTTP(w, r)
		return
	}
	address, _ := g.limits.proxies.client(r)
	if !g.limits.mayGuess(address) {
		w.Header().Set("Retry-After", "1")
		writeJSON(w, http.StatusServiceUnavailable, map[string]any{"code": 1, "message": "Too many unknown sessions"})
		return
	}
	g.limits.guessed(address)
	g.socketio.Engine().Local().ServeHTTP(w, r)
}

// mayGuess reports whether an address may name another session, which may not exist; guessed counts one that did not.
func (l *limiter) mayGuess(address string) bool {
	most := l.unknownSIDs.Load()
	if most == 0 || l.unknown.below(address, int(most), time.Now()) {
		return true
	}
	l.refused[byUnknownSIDs].Inc()
	return false
}

func (l *limiter) guessed(address string) { l.unknown.count(address, time.Now()) }

func unavailable(message string, after time.Duration) *engine.Refusal {
	return &engine.Refusal{Status: http.StatusServiceUnavailable, Code: 3, Message: message, RetryAfter: after}
}
