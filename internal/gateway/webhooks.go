package gateway

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/carillon-io/carillon/internal/webhook"
)

// newWebhooks makes what delivers the entries of routes with a webhook, where there is a Redis: a reload may add some. It has
// a client of its own, whose connections wait for entries.
func (g *Gateway) newWebhooks(o Options, registry prometheus.Registerer) error {
	cfg := o.Config
	if !cfg.Redis.Configured() {
		return nil
	}
	client, err := RedisClient(cfg.Redis)
	if err != nil {
		return err
	}
	g.webhooks, err = webhook.New(webhook.Config{
		Client:         client,
		Prefix:         cfg.Redis.Prefix,
		Routes:         cfg.Routes,
		MaxDepth:       cfg.SocketIO.MaxDepth,
		MaxAttachments: cfg.SocketIO.MaxAttachments,
		Logger:         g.logger.Named("webhooks"),
		Registry:       registry,
	})
	if err != nil {
		return errors.Join(err, client.Close())
	}
	before := g.close
	g.close = func() error { return errors.Join(client.Close(), before()) }
	return nil
}
