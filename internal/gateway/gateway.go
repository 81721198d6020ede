package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/ask"
	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/podcost"
	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/internal/upstream"
	"github.com/carillon-io/carillon/internal/webhook"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Options is what New needs; only Config must be given.
type Options struct {
	Config   config.Config
	Warnings []config.Warning // of the configuration; logged
	// Source is where to read the configuration again; nil: nowhere, and Reload is an error.
	Source  *Source
	Version string
	Log     io.Writer // nil: nothing is logged
	// Tracing has messages traced on their way through Redis; nil: none are.
	Tracing *Tracing
	// Pod is where this node runs, when it may write its pod's deletion cost; nil: it does not.
	Pod *Pod
	// Clients, Ops, Peers and API are listeners to serve on; nil: the addresses of the configuration. The gateway closes
	// them.
	Clients, Ops, Peers, API net.Listener
	// Root serves what lies outside the Socket.IO path; nil: nothing does.
	Root http.Handler
	// LoopbackOrigins lets in every page served from this machine, whatever the configuration lists.
	LoopbackOrigins bool
	// EmbeddedRedis says that the Redis is in this process and delivers patterns out of order with channels.
	EmbeddedRedis bool
	// OnDecision is called with each decision of the rules; nil: they are only counted and logged.
	OnDecision func(*policy.Decision)
	// OnReload hears of each configuration put in force while the node runs; nil: only metrics and the log do.
	OnReload func()
}

// Pod is a node's place in Kubernetes.
type Pod = podcost.Pod

// Gateway is one node.
type Gateway struct {
	// Static after construction.
	config   config.Config // as it started
	logger   *zap.Logger
	clients  endpoint
	ops      endpoint
	peers    *peers // nil: there are none
	moves    *moves // nil: Socket.IO sessions stay on their node
	api      backendAPI
	pod      *Pod // nil: not in Kubernetes, or without the right to patch it
	socketio *socketio.Server
	adapter  adapter.Adapter
	redis    goredis.UniversalClient // nil: none
	webhooks *webhook.Webhooks       // nil: no Redis
	asker    *ask.Asker
	upstream *upstream.Upstream // nil: no Redis that could carry events to backends
	tracing  *tracing           // nil: off
	panics   *prometheus.CounterVec
	close    func() error // releases what New opened

	// What a reload changes; safe for concurrent use.
	level       zap.AtomicLevel
	certificate certificate
	limits      *limiter
	tokens      *auth.Verifier
	policy      *policy.Policy
	reloader    *reloader

	draining atomic.Bool
	leaveBy  atomic.Int64 // Unix seconds at which a drain is over at the latest; 0: none is under way
}

// New wires a node. It starts nothing and binds nothing; the error names the configuration's key where there is one.
func New(o Options) (*Gateway, error) {
	g := &Gateway{config: o.Config, pod: o.Pod, logger: zap.NewNop(), level: zap.NewAtomicLevel(), close: func() error { return nil }}
	level, err := parseLevel(o.Config.Log.Level)
	if err != nil {
		return nil, err
	}
	g.level.SetLevel(level)
	if o.Log != nil {
		g.logger = newLogger(o.Config.Log.Format, g.level, o.Log)
	}
	g.logWarnings(o.Warnings)
	renew, err := g.certificate.prepare(o.Config.Server.TLS)
	if err != nil {
		return nil, err
	}
	renew()
	registry := newRegistry(o.Version)
	g.panics = newHTTPPanics(registry)
	tag, err := g.joinCluster(o, registry)
	if err != nil {
		return nil, err
	}
	if err := g.newUpstream(o, registry); err != nil {
		return nil, errors.Join(err, g.close())
	}
	if err := g.newWebhooks(o, registry); err != nil {
		return nil, errors.Join(err, g.close())
	}
	if err := g.serveClients(o, tag, registry); err != nil {
		return nil, errors.Join(err, g.close())
	}
	if err := g.newAPI(o, registry); err != nil {
		return nil, errors.Join(err, g.close())
	}
	g.reloader = newReloader(o, registry)
	g.registerMetrics(registry)
	g.ops = newEndpoint("ops", o.Ops, o.Config.Ops.Address, g.opsHandler(registry, o.Config.Ops.PProf), o.Config.Server.HeaderTimeout,
		g.httpLog("ops"))
	closed := newWaitingClosed(registry)
	g.ops.wait(mostMachines, closed, g.logger)
	if g.peers != nil {
		g.peers.endpoint.wait(mostMachines, closed, g.logger)
	}
	if g.api.server != nil {
		g.api.endpoint.wait(mostBackends, closed, g.logger)
	}
	return g, nil
}

// serveClients makes the server and what stands before it.
func (g *Gateway) serveClients(o Options, tag func() string, registry prometheus.Registerer) error {
	cfg := o.Config.Server
	if tag == nil && len(o.Config.Peer.Nodes) > 0 {
		own := redis.NewTag() // ids have to begin with something that peers can be told
		tag = func() string { return own }
	}
	origins, err := newOriginPolicy(cfg.Origins, o.LoopbackOrigins, g.logger.Named("clients"))
	if err != nil {
		return fmt.Errorf("server.origins: %w", err)
	}
	if g.tokens, err = auth.New(o.Config.Auth, auth.Options{Logger: g.logger.Named("auth"), Registry: registry}); err != nil {
		return err
	}
	asking, err := g.newAsking(o, registry)
	if err != nil {
		return err
	}
	g.policy, err = policy.New(policyConfig(o.Config), policy.Options{
		Logger:     g.logger.Named("policy"),
		Registry:   registry,
		OnDecision: o.OnDecision,
		Connected:  func() bool { return g.adapter.State().Connected },
		Backends:   g.backends(),
		MaxDepth:   o.Config.SocketIO.MaxDepth + rediswire.Wrapping,
		Asking:     asking,
		Tokens: policy.Tokens{
			Verifier:    g.tokens,
			Places:      auth.NewPlaces(o.Config.Auth.Token, origins.MayUseCookies),
			KeepExpired: o.Config.Auth.Expiry == config.ExpiryKeep,
		},
	})
	if err != nil {
		return err
	}
	// The server asks the limiter and the limiter the server, so one of them has to come later.
	g.limits = newLimiter(cfg.Path, cfg.TrustedProxies, func() *socketio.Server { return g.socketio }, registry, g.logger.Named("clients"))
	if hasPeers(o.Config) && !o.EmbeddedRedis {
		if err := g.newMoves(o.Config, registry); err != nil {
			return err
		}
	}
	cluster, err := g.joinPython(registry)
	if err != nil {
		return fmt.Errorf("adapter.python: %w", err)
	}
	if g.socketio, err = socketio.New(g.serverConfig(cluster, tag, origins, registry)); err != nil {
		return err
	}
	g.limits.set(o.Config.Limits)
	if hasPeers(o.Config) && !o.EmbeddedRedis {
		if err := g.newPeers(o, tag, registry); err != nil {
			return err
		}
	}
	g.policy.Install(g.socketio)
	doors := newDoors(o.Config, g.socketio)
	handler := &clientHandler{path: cfg.Path, socketio: g.socketio, doors: doors, origins: origins, root: o.Root}
	if cfg.ClientBundle != "" {
		if handler.bundle, err = loadBundle(cfg.ClientBundle); err != nil {
			return fmt.Errorf("server.client_bundle: %w", err)
		}
	}
	g.clients = newEndpoint("clients", o.Clients, cfg.Address, handler, cfg.HeaderTimeout, g.httpLog("clients"))
	g.clients.count(g.limits.connections)
	if cfg.TLS.Cert != "" {
		g.clients.server.TLSConfig = g.certificate.serverConfig()
	}
	return nil
}

// joinCluster makes the adapter that the configuration asks for. tag is what it wants ids to begin with; nil: anything.
func (g *Gateway) joinCluster(o Options, registry prometheus.Registerer) (tag func() string, err error) {
	cfg := o.Config
	if cfg.Adapter.Kind == config.AdapterMemory {
		g.adapter = adapter.Local{}
		return nil, nil
	}
	client, err := RedisClient(cfg.Redis)
	if err != nil {
		return nil, err
	}
	first := "" // one by one instead of by pattern, or a socket's messages could overtake a room's
	if !o.EmbeddedRedis {
		first = redis.NewTag()
	}
	g.tracing = newTracing(o.Tracing, g.logger.Named("tracing"))
	shared, err := redis.New(client, redis.Config{
		Key:            cfg.Adapter.Key,
		Version:        o.Version,
		Prefix:         cfg.Redis.Prefix,
		Tag:            first,
		PeerAddress:    g.peerAddress,
		Queue:          redis.Queue{Messages: cfg.Redis.Queue.Messages, Bytes: int(cfg.Redis.Queue.Bytes), Age: cfg.Redis.Queue.Age},
		RequestTimeout: cfg.Adapter.RequestTimeout,
		OwnResponses:   cfg.Adapter.OwnResponses,
		MaxMessage:     int(cfg.Adapter.MaxMessage),
		MaxDepth:       cfg.SocketIO.MaxDepth,
		Sharding:       sharding(cfg.Adapter),
		Streams:        streaming(cfg.Adapter),
		Fences:         cfg.SocketIO.Recovery.Enabled && cfg.Adapter.Kind != config.AdapterStreams,
		Interest:       redis.Interest(cfg.Adapter.Interest),
		Logger:         g.logger.Named("redis"),
		Tracing:        g.tracing.redis(),
		Registry:       registry,
	})
	if err != nil {
		return nil, errors.Join(err, client.Close())
	}
	g.adapter, g.redis, g.close = shared, client, client.Close
	if first != "" {
		tag = shared.Tag
	}
	return tag, nil
}

// sharding is nil where the cluster speaks on classic channels.
func sharding(cfg config.Adapter) *redis.Sharding {
	if cfg.Kind != config.AdapterSharded {
		return nil
	}
	return &redis.Sharding{Mode: redis.Mode(cfg.Sharded.Mode), ClassicEmitters: cfg.ClassicEmitters}
}

// streaming is nil where the cluster does not speak through streams.
func streaming(cfg config.Adapter) *redis.Streams {
	if cfg.Kind != config.AdapterStreams {
		return nil
	}
	return &redis.Streams{
		Name: cfg.Streams.Name, Count: cfg.Streams.Count, MaxLength: cfg.Streams.MaxLength, ClassicEmitters: cfg.ClassicEmitters,
	}
}

var parsers = map[string]packet.Parser{
	config.ParserDefault: packet.DefaultParser,
	config.ParserMsgpack: packet.MsgpackParser,
	config.ParserAuto:    packet.AutoParser,
}

// policyConfig is the part of a configuration that the rules follow.
func policyConfig(cfg config.Config) policy.Config {
	return policy.Config{Namespaces: cfg.Namespaces, Events: cfg.Limits.Events}
}

func (g *Gateway) serverConfig(cluster adapter.Adapter, tag func() string, origins *originPolicy, registry prometheus.Registerer) socketio.Config {
	cfg := g.config
	return socketio.Config{
		Path: cfg.Server.Path,
		Engine: engine.Config{
			Transports:        cfg.Engine.Transports,
			PingInterval:      cfg.Engine.PingInterval,
			PingTimeout:       cfg.Engine.PingTimeout,
			UpgradeTimeout:    cfg.Engine.UpgradeTimeout,
			MaxPayload:        int(cfg.Engine.MaxPayload),
			Outbox:            int(cfg.Engine.Outbox),
			OutboxHard:        int(cfg.Engine.OutboxHard),
			EIO3:              cfg.Engine.EIO3,
			CompressPolling:   cfg.Engine.Compression.Polling,
			CompressWebSocket: cfg.Engine.Compression.WebSocket,
			Tag:               tag,
			Unknown:           http.HandlerFunc(g.unknown),
			Check: func(r *http.Request) *engine.Refusal {
				if refusal := origins.check(r); refusal != nil {
					return refusal
				}
				if refusal := g.checkAsking(r); refusal != nil {
					return refusal
				}
				return g.limits.check(r)
			},
			Context:  func(*http.Request) context.Context { return context.Background() }, // nothing reads a request's here
			Full:     g.limits.connections.refuse,
			Cookie:   sessionCookie(cfg.Server.Cookie),
			Client:   trustedProxies(cfg.Server.TrustedProxies).client,
			Headers:  origins.Headers,
			Logger:   g.logger.Named("engine"),
			Registry: registry,
		},
		Adapter:         cluster,
		Parser:          parsers[cfg.SocketIO.Parser],
		ConnectTimeout:  cfg.SocketIO.ConnectTimeout,
		MaxAttachments:  cfg.SocketIO.MaxAttachments,
		MaxNamespaces:   cfg.SocketIO.MaxNamespaces,
		MaxAuth:         int(cfg.SocketIO.MaxAuth),
		MaxDepth:        cfg.SocketIO.MaxDepth,
		DrainWindow:     max(cfg.Drain.Window, 1), // 0 would be the package's default
		Recovery:        g.recovery(),
		PrivateHeaders:  cfg.Server.PrivateHeaders,
		Hello:           g.policy.Hello,
		NamespaceLabel:  g.policy.Label,
		NamespaceLabels: g.policy.Labels,
		Logger:          g.logger.Named("socketio"),
		Registry:        registry,
	}
}

func newRegistry(version string) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "carillon_build_info",
		Help:        "Always 1. The labels tell which version of Carillon runs here, and which of Go built it.",
		ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	})
	build.Set(1)
	registry.MustRegister(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}
