package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

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
	sessions localSessions
	static   *relay.Static // nil: the nodes are found in Redis
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
	p := &peers{secret: peerSecret{
		client: g.redis, key: secretKey(o.Config.Redis), log: g.logger.Named("peers"),
		learnt: func(secret []byte) { g.socketio.SetRecoveryKey(recoveryKey(secret)) },
	}}
	if cfg.Secret != "" {
		p.secret.client = nil
		p.secret.use([]byte(cfg.Secret))
	}
	p.sessions = localSessions{g.socketio.Engine(), make(chan shedding, 1)}
	r := relay.Config{
		Unknown: p.sessions,
		Secret:  p.secret.get,
		Client:  trustedProxies(o.Config.Server.TrustedProxies).client,
		Allow:   g.limits.mayGuess,
		Miss:    g.limits.guessed,
		Full:    g.limits.connections.refuse,
		Moves:   g.socketio.ServePeer,
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
	if g.moves != nil {
		g.moves.reach(p.relay.Peers(), r.Directory)
	}
	p.endpoint = newEndpoint("peers", o.Peers, cfg.Address, p.relay.Owner(p.sessions),
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

// localSessions are this node's own sessions, as peers see them.
type localSessions struct {
	*engine.Server
	orders chan shedding // room for one; never closed
}

// shedding is what a peer asked to be closed.
type shedding struct {
	sessions int
	window   time.Duration
}

func (l localSessions) ServeHTTP(w http.ResponseWriter, r *http.Request) { l.Local().ServeHTTP(w, r) }

func (l localSessions) SendAway(sid string) { l.Server.SendAway(sid, engine.ShuttingDown) }

// Shed takes one order at a time. One that comes while another is carried out waits, a third is dropped: it was worked out
// from numbers that will not be true any more.
func (l localSessions) Shed(n int, window time.Duration) {
	select {
	case l.orders <- shedding{n, window}:
	default:
	}
}

// run carries out what peers ask for until ctx ends.
func (l localSessions) run(ctx context.Context, log *zap.Logger) {
	for {
		select {
		case order := <-l.orders:
			log.Info("shedding sessions", zap.Int("sessions", order.sessions), zap.Duration("window", order.window))
			n := l.Server.Shed(ctx, order.sessions, order.window)
			log.Info("shed sessions", zap.Int("sessions", n))
		case <-ctx.Done():
			return
		}
	}
}

// listen opens the listener. Another node of this machine may have the default address; any free port will do then, since
// each node's record tells the others where it is.
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
