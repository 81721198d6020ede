package gateway

import (
	"crypto/rand"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/carillon-io/carillon/internal/pythonbus"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// joinPython returns what the server speaks through: the node's adapter, behind python-socketio's channel where that is joined.
func (g *Gateway) joinPython(registry prometheus.Registerer) (adapter.Adapter, error) {
	cfg := g.config
	if cfg.Adapter.Python == "" {
		return g.adapter, nil
	}
	node := rand.Text()[:12]
	return pythonbus.New(g.adapter, g.redis, pythonbus.Config{
		Channel:    cfg.Adapter.Python,
		Cluster:    cfg.Adapter.Key,
		NodeID:     node,
		Probe:      cfg.Redis.Prefix + ":probe:python:" + node,
		Messages:   cfg.Redis.Queue.Messages,
		Bytes:      int(cfg.Redis.Queue.Bytes),
		Age:        cfg.Redis.Queue.Age,
		MaxMessage: int(cfg.Adapter.MaxMessage),
		MaxDepth:   cfg.SocketIO.MaxDepth + rediswire.Wrapping,
		Logger:     g.logger.Named("python"),
		Registry:   registry,
	})
}
