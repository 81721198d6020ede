package gateway

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/relay"
	"github.com/carillon-io/carillon/pkg/engine"
)

// peers is what nodes say to one another directly: requests for sessions that another node holds.
type peers struct {
	// Static after construction.
	relay    *relay.Relay
	endpoint endpoint
	secret   []byte
	static   *relay.Static
}

// newPeers makes the listener for the other nodes that the configuration lists.
func (g *Gateway) newPeers(o Options, tag func() string, registry prometheus.Registerer) error {
	cfg := o.Config.Peer
	nodes, err := parseNodes(cfg.Nodes)
	if err != nil {
		return err
	}
	p := &peers{secret: []byte(cfg.Secret)}
	secret := func() []byte { return p.secret }
	node := rand.Text()
	p.static = relay.NewStatic(node, nodes, secret)
	p.relay, err = relay.New(relay.Config{
		Directory: p.static,
		Unknown:   localSessions{g.socketio.Engine()},
		Node:      node,
		Tags:      func() []string { return []string{tag()} },
		Secret:    secret,
		Client:    trustedProxies(o.Config.Server.TrustedProxies).client,
		Allow:     g.limits.mayGuess,
		Miss:      g.limits.guessed,
		MaxBody:   int(o.Config.Engine.MaxPayload),
		// A poll is answered with a ping at the latest.
		PollTimeout: o.Config.Engine.PingInterval + o.Config.Engine.PingTimeout,
		Logger:      g.logger.Named("peers"),
		Registry:    registry,
	})
	if err != nil {
		return err
	}
	p.endpoint = newEndpoint("peers", o.Peers, cfg.Address, p.relay.Owner(localSessions{g.socketio.Engine()}),
		o.Config.Server.HeaderTimeout, g.httpLog("peers"))
	p.endpoint.server.Protocols = new(http.Protocols)
	p.endpoint.server.Protocols.SetHTTP1(true) // for upgrades
	p.endpoint.server.Protocols.SetUnencryptedHTTP2(true)
	g.peers = p
	return nil
}

// stop ends the listener, and what is left of the relay.
func (p *peers) stop() error {
	err := stop(&p.endpoint)
	p.relay.Close()
	p.static.Close()
	return err
}

func parseNodes(urls []config.URL) ([]*url.URL, error) {
	nodes := make([]*url.URL, 0, len(urls))
	for i, text := range urls {
		u, err := url.Parse(string(text))
		if err != nil {
			return nil, fmt.Errorf("peer.nodes[%d]: is not a URL", i) // the parser's own error may quote a password
		}
		nodes = append(nodes, u)
	}
	return nodes, nil
}

// localSessions serves relayed requests from this node's own sessions.
type localSessions struct{ *engine.Server }

func (l localSessions) ServeHTTP(w http.ResponseWriter, r *http.Request) { l.Local().ServeHTTP(w, r) }
