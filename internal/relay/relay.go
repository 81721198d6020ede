package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/idle"
)

// Directory tells which nodes have a tag.
type Directory interface {
	// Owners returns the base URLs of the peer listeners of all live nodes with that tag, this node left out. It may wait
	// for one look-up, at most until ctx ends.
	Owners(ctx context.Context, tag string) ([]string, error)
}

// Config is what New needs.
type Config struct {
	Directory Directory
	// Unknown answers a request whose session does not exist, as the protocol has it.
	Unknown http.Handler
	// Node names this process; Tags are those that its sessions' ids begin with. Nodes with a static list of peers ask for
	// both.
	Node string
	Tags func() []string
	// Secret returns the key that signs requests; nil while it is not known. It must not wait.
	Secret func() []byte
	// Client returns the client's address and whether it came over TLS, as this node believes it.
	Client func(r *http.Request) (address string, secure bool)
	// Allow is asked before a request of this client address is relayed, and Miss reports one whose session turned out
	// not to exist: together they limit guesses. Both must not wait. nil: no limit.
	Allow func(address string) bool
	Miss  func(address string)
	// Moves answers what nodes ask one another about Socket.IO sessions that move, by the name of the call. nil: nothing.
	Moves func(w http.ResponseWriter, r *http.Request, call string, body []byte)
	// Full reports that a WebSocket, which takes its connection for long, has no room here, and makes room for the refusal of
	// the request. It must not wait. nil: there always is.
	Full func(*http.Request) bool

	MaxBody     int           // bytes of one POST; default 1,000,000
	MaxBodies   int           // bytes of all POSTs held at once; default 64 MiB
	DialTimeout time.Duration // default 1 s
	PostTimeout time.Duration // of a POST's body, and from its arrival to the owner's answer; default 10 s
	// PollTimeout is how long the owner may leave a poll unanswered; default 60 s, more than the intervals of the heartbeat.
	PollTimeout time.Duration

	Logger   *zap.Logger           // nil: none
	Registry prometheus.Registerer // nil: metrics are kept, not registered
}

// Relay is one node's part in relaying, as relaying node and as owner. Safe for concurrent use.
type Relay struct {
	// Static after construction.
	config    Config
	log       *zap.Logger
	metrics   *metrics
	transport *transport
	polls     http.Handler
	seen      verifier
	bodies    budget

	live    live
	poller  *idle.Poller
	running sync.WaitGroup // the poller's goroutines
}

// New makes a relay. It starts nothing.
func New(cfg Config) (*Relay, error) {
	if cfg.Directory == nil || cfg.Unknown == nil || cfg.Tags == nil || cfg.Secret == nil || cfg.Client == nil {
		return nil, errors.New("relay: Directory, Unknown, Tags, Secret and Client are needed")
	}
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&cfg.DialTimeout, time.Second}, {&cfg.PostTimeout, 10 * time.Second}, {&cfg.PollTimeout, time.Minute}} {
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 1_000_000
	}
	if cfg.MaxBodies == 0 {
		cfg.MaxBodies = 64 << 20
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	m, err := newMetrics(cfg.Registry)
	if err != nil {
		return nil, fmt.Errorf("relay: register metrics: %w", err)
	}
	r := &Relay{config: cfg, log: cfg.Logger, metrics: m, bodies: budget{most: int64(cfg.MaxBodies)}}
	r.poller = idle.New(r.running.Go)
	r.transport = r.newTransport()
	r.polls = r.newForwarder()
	return r, nil
}

// Close cuts the WebSockets that pass through and gives idle connections to other nodes up. Requests under way go on.
func (r *Relay) Close() {
	r.live.draining.Store(true)
	r.live.cut()
	r.running.Wait()
	r.transport.http2.CloseIdleConnections()
}

// The length of a session id, and of the tag it begins with.
const (
	idLength  = 20
	tagLength = 4
)

// idOf returns the session that a request names, empty for none. As in the engine, the last one counts.
func idOf(r *http.Request) string {
	ids := r.URL.Query()["sid"]
	if len(ids) == 0 {
		return ""
	}
	return ids[len(ids)-1]
}

// tagOf returns the tag of the session a request names; false when there can be no such session.
func tagOf(r *http.Request) (string, bool) {
	id := idOf(r)
	if len(id) != idLength {
		return "", false
	}
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return "", false
		}
	}
	return id[:tagLength], true
}

// ServeHTTP relays a client's request for a session that this node does not hold.
func (r *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	address, secure := r.config.Client(req)
	if r.config.Allow != nil && !r.config.Allow(address) {
		r.metrics.count(resultLimited)
		refuse(w, "Too many unknown sessions")
		return
	}
	tag, well := tagOf(req)
	if !well {
		r.miss(address, resultMalformed)
		r.config.Unknown.ServeHTTP(w, req)
		return
	}
	secret := r.config.Secret()
	if secret == nil {
		r.metrics.count(resultUnready)
		refuse(w, "Peers are not known yet")
		return
	}
	owners, err := r.owners(req.Context(), tag)
	switch {
	case err != nil:
		r.log.Debug("owner cannot be looked up", zap.String("tag", tag), zap.Error(err))
		r.metrics.count(resultUnready)
		refuse(w, "Peers cannot be looked up")
		return
	case len(owners) == 0:
		r.miss(address, resultNoOwner)
		r.config.Unknown.ServeHTTP(w, req)
		return
	}
	c := client{address: address, scheme: "http", secret: secret}
	if secure {
		c.scheme = "https"
	}
	if isUpgrade(req) {
		r.relayUpgrade(w, req, c, owners)
		return
	}
	r.relayRequest(w, req, c, owners)
}

// client is what the relaying node vouches for.
type client struct {
	address string
	scheme  string
	secret  []byte
}

// lookUpTimeout bounds the wait for the directory, so that a forged id is answered within a second.
const lookUpTimeout = 500 * time.Millisecond

func (r *Relay) owners(ctx context.Context, tag string) ([]*url.URL, error) {
	ctx, cancel := context.WithTimeout(ctx, lookUpTimeout)
	defer cancel()
	bases, err := r.config.Directory.Owners(ctx, tag)
	if err != nil {
		return nil, err
	}
	owners := make([]*url.URL, 0, len(bases))
	for _, base := range bases {
		u, err := url.Parse(base)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("relay: peer address %q is not a URL", base)
		}
		if u.Port() == "" {
			u.Host = net.JoinHostPort(u.Hostname(), "80")
		}
		owners = append(owners, u)
	}
	return owners, nil
}

// miss counts a request whose session does not exist, against its sender too.
func (r *Relay) miss(address string, result result) {
	r.metrics.count(result)
	if r.config.Miss != nil {
		r.config.Miss(address)
	}
}
