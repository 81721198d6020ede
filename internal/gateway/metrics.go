package gateway

import "github.com/prometheus/client_golang/prometheus"

// registerMetrics adds what the node as a whole tells of itself.
func (g *Gateway) registerMetrics(registry prometheus.Registerer) {
	gauge := func(name, help string, read func() float64) {
		registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "carillon", Name: name, Help: help}, read))
	}
	gauge("drain_sessions_remaining",
		"Clients that still have to leave while this node drains after SIGTERM; 0 otherwise. It falls to 0 over drain.window.",
		g.remaining)
	gauge("drain_deadline_timestamp_seconds",
		"When a node that drains has left at the latest, in seconds since 1970; 0 while it serves. A node that is there after "+
			"that is stuck.",
		func() float64 { return float64(g.leaveBy.Load()) })
	if g.config.Server.TLS.Cert == "" {
		return // nothing expires, and 0 would look like 1970
	}
	gauge("certificate_expiry_timestamp_seconds",
		"When the first certificate in the chain of server.tls.cert expires, in seconds since 1970. After that clients refuse to "+
			"connect: renew the files, which are read again when they change.",
		func() float64 { return float64(g.certificate.current.Load().expires.Unix()) })
}

// remaining is how many sessions a drain has left.
func (g *Gateway) remaining() float64 {
	if !g.draining.Load() {
		return 0
	}
	return float64(g.socketio.Engine().Sessions())
}
