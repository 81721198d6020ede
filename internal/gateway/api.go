package gateway

import (
	"net"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/carillon-io/carillon/internal/api"
	"github.com/carillon-io/carillon/internal/config"
)

// What one key may send to one node: events and calls per second, and at once. It is far more than a backend does that is
// well, and less than a node can do.
const (
	apiRate  = 20_000
	apiBurst = 40_000
)

// eventEnvelope is more than a message on Redis has around an event.
const eventEnvelope = 4 << 10

// backendAPI is the HTTP API for backends. The zero value is none.
type backendAPI struct {
	// Static after construction.
	keys     *api.Keys
	server   *api.Server // nil: there is no API
	endpoint endpoint
}

// newAPI makes the API and its listener, where the configuration asks for them.
func (g *Gateway) newAPI(o Options, registry prometheus.Registerer) (err error) {
	cfg := o.Config
	requests, err := api.NewRequests(registry)
	if err != nil || cfg.API.Address == "" {
		return err
	}
	if g.api.keys, err = api.NewKeys(cfg.API.Keys); err != nil {
		return err
	}
	g.api.server, err = api.New(api.Config{
		Server:         g.socketio,
		Keys:           g.api.keys,
		Redis:          g.redis,
		Prefix:         cfg.Redis.Prefix,
		MaxEvent:       max(int(cfg.Adapter.MaxMessage)-eventEnvelope, 1),
		MaxDepth:       cfg.SocketIO.MaxDepth,
		MaxAttachments: cfg.SocketIO.MaxAttachments,
		Requests:       requests,
	})
	if err != nil {
		return err
	}
	g.api.server.SetRate(apiRate, apiBurst)
	g.api.endpoint = newEndpoint("api", o.API, cfg.API.Address, g.api.server, cfg.Server.HeaderTimeout, g.httpLog("api"))
	return nil
}

// listen opens the listener.
func (b *backendAPI) listen() error {
	if b.server == nil {
		return nil
	}
	return b.endpoint.listen()
}

// stop ends the listener and the calls that are under way.
func (b *backendAPI) stop() error {
	if b.server == nil {
		return nil
	}
	err := stop(&b.endpoint)
	b.server.Close()
	return err
}

// address is where the API listens; nil: nowhere.
func (b *backendAPI) address() net.Addr {
	if b.server == nil {
		return nil
	}
	return b.endpoint.listener.Addr()
}

// prepare reads the keys of a configuration that is to be put in force. What it returns does so.
func (b *backendAPI) prepare(cfg config.API) (replace func(), err error) {
	if cfg.Address == "" {
		return func() {}, nil
	}
	keys := b.keys
	if keys == nil {
		keys = new(api.Keys) // an API needs a restart, and faulty keys are told now
	}
	return keys.Prepare(cfg.Keys)
}

// apiFiles are the files of keys that a configuration names.
func apiFiles(cfg config.API) []string {
	if cfg.Address == "" {
		return nil
	}
	return api.KeyFiles(cfg.Keys)
}

// checkAPI finds what newAPI would refuse.
func checkAPI(cfg config.API) error {
	if cfg.Address == "" {
		return nil
	}
	_, err := api.NewKeys(cfg.Keys)
	return err
}
