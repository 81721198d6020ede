package socketio

import (
	"fmt"
	"strings"
	"time"

	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Config configures a Server; the zero value is Node's defaults on one node.
type Config struct {
	// Path is where the server is mounted, with both slashes; anything else is answered 404. Default "/socket.io/".
	Path string
	// Origins are the pages of other hosts that may use the server, over polling and WebSocket alike: https://host[:port],
	// https://*.host, null, or *, which lets in all without their cookies. Requests of other pages are refused, and browsers
	// get the headers and preflight answers of CORS. nil: Engine.Check and Engine.Headers decide alone, and every page
	// may use WebSocket.
	Origins        []string
	Engine         engine.Config   // its Logger and Registry default to the ones below
	Adapter        adapter.Adapter // nil: adapter.Local
	Parser         packet.Parser   // of clients and server; default packet.DefaultParser
	ConnectTimeout time.Duration   // how long a connection may stay without a namespace; default 45 s
	// AttachmentTimeout is how long a client may take for each attachment of a packet; default 45 s.
	AttachmentTimeout time.Duration
	MaxAttachments    int           // per packet; default 10
	MaxNamespaces     int           // per connection; default 16
	MaxDynamic        int           // namespaces of OfFunc that exist here at once; default 10,000. See Limits
	MaxDepth          int           // of JSON and msgpack from clients; default 128
	MaxAuth           int           // bytes of the auth a client sends with CONNECT; default 16 KiB
	ConnectRate       int           // CONNECTs per second and connection; default 20. See Limits
	ConnectBurst      int           // CONNECTs of a connection at once; default 50. See Limits
	MaxRooms          int           // per socket, its own room not counted; default 1000. See Limits
	AckTimeout        time.Duration // of EmitWithAck where ctx has no deadline; default 5 s
	DrainWindow       time.Duration // over which Shutdown spreads the closes; default 20 s
	Recovery          Recovery      // of connections that break; off by default
	// PrivateHeaders are left out of the handshakes that other nodes see, as Authorization and Cookie always are.
	PrivateHeaders []string
	// PrivateQuery are names of query parameters left out likewise, as token always is.
	PrivateQuery []string
	// Hello says how long a client of Server.WebSocket's subprotocol has to say hello before its socket is connected without one:
	// where a token is looked for that its request does not bring. With required, it is refused then, after ConnectTimeout at
	// the latest. nil: sockets are connected at once.
	Hello func(s *engine.Session, nsp string) (wait time.Duration, required bool)
	// OnError is called for each event that no handler was called with, on the goroutine of its connection: err is
	// ErrUnhandled, or ErrArguments with the reason; nil: they are only counted.
	OnError func(s *Socket, e Event, err error)
	// NamespaceLabel maps a namespace to the value of the metrics' namespace label; nil: its name, and "*" for all of
	// OfFunc.
	NamespaceLabel func(nsp string) string
	// NamespaceLabels are the values of that label that are there before a socket is; nil: those of the namespaces.
	NamespaceLabels func() []string
	Logger          *zap.Logger           // nil: none
	Registry        prometheus.Registerer // nil: metrics are kept, not registered
}

// withDefaults fills in what was left out, and names every value that cannot be.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.Path == "" {
		cfg.Path = "/socket.io/"
	}
	if cfg.Adapter == nil {
		cfg.Adapter = adapter.Local{}
	}
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	if cfg.Engine.Logger == nil {
		cfg.Engine.Logger = cfg.Logger
	}
	if cfg.Engine.Registry == nil {
		cfg.Engine.Registry = cfg.Registry
	}
	if cfg.Engine.Tag == nil {
		tag := conn.NewTag() // the sockets' ids begin like the sessions'
		cfg.Engine.Tag = func() string { return tag }
	}
	var faults []string
	if cfg.Parser > packet.AutoParser {
		faults = append(faults, fmt.Sprintf("parser %d is unknown", cfg.Parser))
	}
	if !strings.HasPrefix(cfg.Path, "/") || !strings.HasSuffix(cfg.Path, "/") {
		faults = append(faults, fmt.Sprintf("path %q must begin and end with a slash", cfg.Path))
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		unset time.Duration
	}{
		{"connect timeout", &cfg.ConnectTimeout, 45 * time.Second},
		{"attachment timeout", &cfg.AttachmentTimeout, 45 * time.Second},
		{"acknowledgement timeout", &cfg.AckTimeout, 5 * time.Second},
		{"drain window", &cfg.DrainWindow, 20 * time.Second},
	} {
		if *d.value == 0 {
			*d.value = d.unset
		}
		if *d.value < 0 {
			faults = append(faults, fmt.Sprintf("%s %v is negative", d.name, *d.value))
		}
	}
	for _, n := range []struct {
		name  string
		value *int
		unset int
	}{
		{"attachments", &cfg.MaxAttachments, 10},
		{"namespaces", &cfg.MaxNamespaces, 16},
		{"dynamic namespaces", &cfg.MaxDynamic, 10_000},
		{"depth", &cfg.MaxDepth, 128},
		{"auth", &cfg.MaxAuth, 16 << 10},
		{"connects per second", &cfg.ConnectRate, 20},
		{"connects at once", &cfg.ConnectBurst, 50},
		{"rooms", &cfg.MaxRooms, 1000},
	} {
		if *n.value == 0 {
			*n.value = n.unset
		}
		if *n.value < 0 {
			faults = append(faults, fmt.Sprintf("limit of %s %d is negative", n.name, *n.value))
		}
	}
	faults = append(faults, cfg.Recovery.withDefaults()...)
	if len(faults) > 0 {
		return cfg, fmt.Errorf("socketio: %s", strings.Join(faults, "; "))
	}
	return cfg, nil
}
