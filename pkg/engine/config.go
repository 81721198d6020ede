package engine

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/carillon-io/carillon/internal/frame"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// The transports, by the names the protocol gives them, and those of plain sessions.
const (
	transportPolling   = "polling"
	transportWebSocket = "websocket"
	transportNative    = "native" // a WebSocket without Engine.IO
	transportStream    = "sse"    // an event stream
)

var transports = []string{transportPolling, transportWebSocket, transportNative, transportStream}

// socketTransport names a WebSocket as the transport.
func socketTransport(c frame.Codec) string {
	if c.Plain() {
		return transportNative
	}
	return transportWebSocket
}

// Config configures a Server; the zero value is Node's defaults.
type Config struct {
	Transports     []string      // "polling", "websocket"; default both
	PingInterval   time.Duration // default 25 s
	PingTimeout    time.Duration // default 20 s
	UpgradeTimeout time.Duration // default 10 s
	MaxPayload     int           // bytes of one message or POST body; default 1,000,000
	// Outbox is how many bytes of memory may wait for one client; default 1 MiB. With more it is a slow consumer once it makes
	// no progress for five seconds.
	Outbox int
	// OutboxHard is how many bytes make it a slow consumer at once; default 8 MiB, or Outbox if that is more.
	OutboxHard int
	// EIO3 accepts protocol revision 3. Its session ids are usually published as Socket.IO ids, although such an
	// id is all it takes to poll and post as that client.
	EIO3 bool
	// CompressPolling compresses poll answers of 1 KiB and more for clients that accept gzip or deflate.
	CompressPolling bool
	// CompressWebSocket compresses WebSocket messages of 1 KiB and more for clients that offer permessage-deflate, each
	// message for itself and once for all its recipients, and takes compressed ones.
	CompressWebSocket bool
	// Tag returns the first four characters of each session id to be; it must not wait. nil: New draws them at random, once.
	Tag func() string
	// Unknown answers requests for sessions this server does not hold; nil: the protocol's 400 code 1.
	Unknown http.Handler
	// Check may refuse a request before anything else is looked at (origin, limits); nil accepts. It returns a *Refusal
	// or nil.
	Check func(r *http.Request) *Refusal
	// Full, when not nil, reports that there is no room for another session, which r asks for, beside what Limits say: it is
	// then refused like one too many, and its connection closed. It must not block.
	Full func(r *http.Request) bool
	// Client returns the address of the client behind trusted proxies, and whether it came over TLS; nil: those of the
	// connection itself.
	Client func(r *http.Request) (address string, secure bool)
	// Cookie, when not nil, is set by each polling handshake with the session's id as its value, for balancers that keep
	// a client on one node by it. As with Node's server, a handshake over WebSocket sets none.
	Cookie *http.Cookie
	// Headers, when not nil, adds headers to every answer, errors and the 101 included (CORS).
	Headers func(r *http.Request, h http.Header)
	// OnRefusal, when not nil, is called with each request that this server refuses, before the refusal is answered, as
	// Node's server emits connection_error. It must not keep the request and must not block.
	OnRefusal func(r *http.Request, refusal Refusal)
	// Context returns what Session.Context keeps of a session's first request; nil: the values of the request's context, so
	// that values set by HTTP middleware reach the session. Its cancellation is not wanted: the request ends long
	// before the session does.
	Context  func(r *http.Request) context.Context
	Logger   *zap.Logger           // nil: none
	Registry prometheus.Registerer // nil: metrics are kept, not registered
}

// Refusal is the answer to a request that is not served: over HTTP Status with {"code":Code,"message":Message}, on a
// WebSocket upgrade Message as text, with 503 where that is the Status and else 400, as Node does.
type Refusal struct {
	Status     int
	Code       int
	Message    string
	RetryAfter time.Duration // 0: none
	Cause      string        // what was wrong in detail, for logs and OnRefusal: the client does not get it
}

// because returns the refusal with its cause.
func (f *Refusal) because(cause string) *Refusal {
	refusal := *f
	refusal.Cause = cause
	return &refusal
}

// withDefaults fills in what is not set and refuses what cannot work.
func (c Config) withDefaults() (Config, error) {
	if len(c.Transports) == 0 {
		c.Transports = []string{transportPolling, transportWebSocket}
	}
	for _, t := range c.Transports {
		if t != transportPolling && t != transportWebSocket {
			return c, fmt.Errorf("engine: unknown transport %q", t)
		}
	}
	for _, d := range []struct {
		name     string
		value    *time.Duration
		fallback time.Duration
	}{
		{"PingInterval", &c.PingInterval, 25 * time.Second},
		{"PingTimeout", &c.PingTimeout, 20 * time.Second},
		{"UpgradeTimeout", &c.UpgradeTimeout, 10 * time.Second},
	} {
		if *d.value < 0 {
			return c, fmt.Errorf("engine: %s is negative: %v", d.name, *d.value)
		}
		if *d.value == 0 {
			*d.value = d.fallback
		}
	}
	if c.MaxPayload < 0 || c.Outbox < 0 || c.OutboxHard < 0 {
		return c, fmt.Errorf("engine: negative size: MaxPayload %d, Outbox %d, OutboxHard %d", c.MaxPayload, c.Outbox, c.OutboxHard)
	}
	if c.MaxPayload == 0 {
		c.MaxPayload = 1_000_000
	}
	if c.Outbox == 0 {
		c.Outbox = 1 << 20
	}
	if c.OutboxHard == 0 {
		c.OutboxHard = max(8<<20, c.Outbox)
	}
	if c.OutboxHard < c.Outbox {
		return c, fmt.Errorf("engine: OutboxHard %d is less than Outbox %d", c.OutboxHard, c.Outbox)
	}
	if c.Tag == nil {
		tag := randomText(tagLength)
		c.Tag = func() string { return tag }
	}
	if tag := c.Tag(); len(tag) != tagLength || strings.Trim(tag, idAlphabet) != "" {
		return c, fmt.Errorf("engine: tag %q is not four characters of [A-Za-z0-9_-]", tag)
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	return c, nil
}

func (c *Config) allows(transport string) bool { return slices.Contains(c.Transports, transport) }

// client asks Config.Client; without one it returns the address of the connection, and whether that uses TLS.
func (c *Config) client(r *http.Request) (address string, secure bool) {
	if c.Client != nil {
		return c.Client(r)
	}
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	return address, r.TLS != nil
}

// keptContext is what a session keeps of its first request's context.
func (c *Config) keptContext(r *http.Request) context.Context {
	if c.Context != nil {
		return c.Context(r)
	}
	return context.WithoutCancel(r.Context())
}
