package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/carillon-io/carillon/internal/config"
)

// conditions is what readiness depends on, as /readyz shows it.
type conditions struct {
	Ready bool `json:"ready"`
	// Subscribed is true from the first proven subscription on; without a cluster, always.
	Subscribed bool `json:"subscribed"`
	// Peers is true once this node can tell its peers from others, or has failed to agree on how: sooner it could neither relay
	// requests nor serve relayed ones.
	Peers bool `json:"peers"`
	// Draining is true once the node was told to leave.
	Draining bool `json:"draining"`
	// Deaf is true while the cluster answers commands and yet nothing arrives from it.
	Deaf bool `json:"deaf"`
	// Redis tells whether the cluster answers. It does not count towards readiness: when it is away for every node, taking them all
	// out of service would only add to the outage.
	Redis bool `json:"redis"`
	// RedisError is why it does not, or why this node cannot say that it is there.
	RedisError string `json:"redis_error,omitempty"`
}

func (g *Gateway) conditions() conditions {
	state := g.adapter.State()
	c := conditions{
		Subscribed: state.Ready,
		Peers:      g.peers == nil || g.peers.secret.settled.Load(),
		Draining:   g.draining.Load(),
		Deaf:       state.Deaf,
		Redis:      state.Connected,
	}
	if cluster, ok := g.adapter.(interface{ Trouble() error }); ok {
		if err := cluster.Trouble(); err != nil {
			c.RedisError = config.Mask(err.Error())
		}
	}
	c.Ready = c.Subscribed && c.Peers && !c.Draining && !c.Deaf
	return c
}

// opsHandler serves what operators and their machines look at; clients never reach it.
func (g *Gateway) opsHandler(metrics prometheus.Gatherer, profiler bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]bool{"live": true})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		c := g.conditions()
		status := http.StatusOK
		if !c.Ready {
			status = http.StatusServiceUnavailable
		}
		writeJSON(w, status, c)
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	if profiler {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return mux
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A write that fails is the caller's leaving; there is nobody to tell.
	_ = json.NewEncoder(w).Encode(v)
}
