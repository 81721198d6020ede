package gateway

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/relay"
	"github.com/carillon-io/carillon/pkg/engine"
)

// peers is what nodes say to one another directly: requests for sessions that another node holds.
type peers struct {
	// Static after construction.
	relay    *relay.Relay
	endpoint endpoint
	secret   peerSecret
	static   *relay.Static // nil: the cluster knows who has which tag
}

// directory finds nodes by tag, and knows this node's own tags.
type directory interface {
	relay.Directory
	Tags() []string
	NodeID() string
}

// hasPeers reports whether there can be other nodes that this one relays to.
func hasPeers(cfg config.Config) bool {
	return len(cfg.Peer.Nodes) > 0 || cfg.Adapter.Kind != config.AdapterMemory
}

// newPeers makes the listener for the other nodes: those that the configuration lists, else those of the cluster.
func (g *Gateway) newPeers(o Options, tag func() string, registry prometheus.Registerer) error {
	cfg := o.Config.Peer
	p := &peers{secret: peerSecret{client: g.redis, key: o.Config.Redis.Prefix + ":{nodes}:secret", log: g.logger.Named("peers")}}
	if cfg.Secret != "" {
		p.secret.client = nil
		p.secret.use([]byte(cfg.Secret))
	}
	r := relay.Config{
		Unknown: localSessions{g.socketio.Engine()},
		Secret:  p.secret.get,
		Client:  trustedProxies(o.Config.Server.TrustedProxies).client,
		Allow:   g.limits.mayGuess,
		Miss:    g.limits.guessed,
		MaxBody: int(o.Config.Engine.MaxPayload),
		// A poll is answered with a ping at the latest.
		PollTimeout: o.Config.Engine.PingInterval + o.Config.Engine.PingTimeout,
		Logger:      g.logger.Named("peers"),
		Registry:    registry,
	}
	if cluster, ok := g.adapter.(directory); ok && len(cfg.Nodes) == 0 {
		r.Directory, r.Tags, r.Node = cluster, cluster.Tags, cluster.NodeID()
	} else {
		nodes, err := parseNodes(cfg.Nodes)
		if err != nil {
			return err
		}
		r.Node = rand.Text()
		r.Tags = func() []string { return []string{tag()} }
		p.static = relay.NewStatic(r.Node, nodes, p.secret.get)
		r.Directory = p.static
	}
	var err error
	if p.relay, err = relay.New(r); err != nil {
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
	if p.static != nil {
		p.static.Close()
	}
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

// listen opens the listener. Where nobody chose its address, another node of this machine may have it: any free port will
// do then, since nodes tell one another where they are.
func (p *peers) listen(log *zap.Logger) error {
	err := p.endpoint.listen()
	if usual := config.Default().Peer.Address; errors.Is(err, syscall.EADDRINUSE) && p.endpoint.address == usual {
		p.endpoint.address = ":0"
		if err = p.endpoint.listen(); err == nil {
			log.Info("another process has the usual address for peers", zap.String("usual", usual),
				zap.Stringer("address", p.endpoint.listener.Addr()))
		}
	}
	return err
}

// peerAddress is the URL at which other nodes reach the peer listener: what the configuration says, else the address that it
// listens on, with this machine's own in place of "any". It is called once the listener is open.
func (g *Gateway) peerAddress() string {
	if g.peers == nil {
		return ""
	}
	if advertised := g.config.Peer.Advertise; advertised != "" {
		return string(advertised)
	}
	address, err := netip.ParseAddrPort(g.peers.endpoint.listener.Addr().String())
	if err != nil {
		return ""
	}
	host := address.Addr().Unmap()
	if host.IsUnspecified() {
		host = ownAddress()
	}
	return "http://" + netip.AddrPortFrom(host, address.Port()).String()
}

// ownAddress is the first address of this machine that others can reach, IPv4 before IPv6: in a pod there is one of each
// at most. Loopback where there is none.
func ownAddress() netip.Addr {
	best := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return best
	}
	for _, a := range addresses {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil {
			continue
		}
		ip := prefix.Addr().Unmap()
		switch {
		case !ip.IsGlobalUnicast():
		case ip.Is4():
			return ip
		case best.IsLoopback():
			best = ip
		}
	}
	return best
}
