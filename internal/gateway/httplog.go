package gateway

import (
	"bytes"
	"log"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// httpLog writes net/http's own log lines to the node's log, at the level of what they report.
type httpLog struct {
	logger *zap.Logger
	panics prometheus.Counter
}

// clientNoise begins the lines that any client can provoke.
var clientNoise = []string{
	"http: TLS handshake error",
	"http: URL query contains semicolon",
	"http2: ",
}

// newHTTPPanics makes the counters of panics, one for each listener.
func newHTTPPanics(registry prometheus.Registerer) *prometheus.CounterVec {
	panics := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "carillon", Name: "http_panics_total",
		Help: "Panics while an HTTP request was served, by listener, each of which ended that request's connection. Above 0 is a bug: " +
			"please report it with the log's stack trace.",
	}, []string{"listener"})
	registry.MustRegister(panics)
	for _, listener := range []string{"clients", "ops", "peers"} {
		panics.WithLabelValues(listener)
	}
	return panics
}

// httpLog makes the log of one listener.
func (g *Gateway) httpLog(listener string) httpLog {
	return httpLog{g.logger.Named(listener), g.panics.WithLabelValues(listener)}
}

// errorLog is for http.Server.ErrorLog.
func (l httpLog) errorLog() *log.Logger { return log.New(l, "", 0) }

// Write is called by log.Logger with one message, which may have several lines.
func (l httpLog) Write(message []byte) (int, error) {
	text, stack, _ := strings.Cut(string(bytes.TrimSpace(message)), "\n")
	switch {
	case strings.HasPrefix(text, "http: panic serving"), strings.HasPrefix(text, "http2: panic serving"):
		l.panics.Inc()
		l.logger.Error("panic in an HTTP handler", zap.String("panic", text), zap.String("stack", stack))
	default:
		l.logger.Log(l.level(text), text)
	}
	return len(message), nil
}

func (l httpLog) level(text string) zapcore.Level {
	for _, prefix := range clientNoise {
		if strings.HasPrefix(text, prefix) {
			return zap.DebugLevel
		}
	}
	return zap.WarnLevel
}
