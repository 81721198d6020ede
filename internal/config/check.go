package config

import (
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// check looks at every value, and then at what they say together.
func (l *loader) check() {
	c := &l.config
	l.checkServer(&c.Server)
	l.checkAddress("ops.address", c.Ops.Address)
	l.checkPeer(&c.Peer)
	l.checkEngine(&c.Engine)
	l.checkSocketIO(&c.SocketIO)
	l.checkRedis(&c.Redis)
	l.checkAdapter(&c.Adapter)
	atLeast(l, "drain.delay", c.Drain.Delay, 0)
	atLeast(l, "drain.window", c.Drain.Window, 0)
	l.checkLimits(&c.Limits)
	l.checkAuth(&c.Auth)
	l.checkRoutes(c.Routes)
	l.checkNamespaces(c.Namespaces)
	l.checkDoors(c)
	l.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	l.oneOf("log.format", c.Log.Format, LogJSON, LogConsole)
	l.checkCombinations(c)
}

func (l *loader) checkPeer(p *Peer) {
	l.checkAddress("peer.address", p.Address)
	if p.Advertise != "" {
		l.checkHTTPURL("peer.advertise", p.Advertise)
	}
	for i, node := range p.Nodes {
		l.checkHTTPURL(indexKey("peer.nodes", i), node)
	}
}

func (l *loader) checkEngine(e *Engine) {
	if len(e.Transports) == 0 {
		l.fault("engine.transports", "no transport: name %s, %s or both", TransportPolling, TransportWebSocket)
	}
	for i, transport := range e.Transports {
		key := indexKey("engine.transports", i)
		l.oneOf(key, transport, TransportPolling, TransportWebSocket)
		if slices.Contains(e.Transports[:i], transport) {
			l.fault(key, "%s stands twice", quote(transport))
		}
	}
	positive(l, "engine.ping_interval", e.PingInterval)
	positive(l, "engine.ping_timeout", e.PingTimeout)
	positive(l, "engine.upgrade_timeout", e.UpgradeTimeout)
	positive(l, "engine.max_payload", e.MaxPayload)
	atLeast(l, "engine.outbox", e.Outbox, 4*Kibibyte)
	atLeast(l, "engine.outbox_hard", e.OutboxHard, e.Outbox)
	if e.OutboxHard < e.MaxPayload {
		l.warn("engine.outbox_hard", "%s is less than engine.max_payload, %s: a large message closes receivers for whom "+
			"another is waiting", e.OutboxHard, e.MaxPayload)
	}
}

func (l *loader) checkSocketIO(s *SocketIO) {
	l.oneOf("socketio.parser", s.Parser, ParserDefault, ParserMsgpack, ParserAuto)
	positive(l, "socketio.connect_timeout", s.ConnectTimeout)
	positive(l, "socketio.max_attachments", s.MaxAttachments)
	positive(l, "socketio.max_namespaces", s.MaxNamespaces)
	// Values are walked recursively, so the depth bounds the stack.
	between(l, "socketio.max_depth", s.MaxDepth, 1, 10_000)
	positive(l, "socketio.max_auth", s.MaxAuth)
	positive(l, "socketio.recovery.window", s.Recovery.Window)
	positive(l, "socketio.recovery.bytes", s.Recovery.Bytes)
}

func (l *loader) checkAdapter(a *Adapter) {
	l.oneOf("adapter.kind", a.Kind, AdapterMemory, AdapterPubSub, AdapterSharded, AdapterStreams)
	l.notEmpty("adapter.key", a.Key)
	positive(l, "adapter.request_timeout", a.RequestTimeout)
	l.oneOf("adapter.interest", a.Interest, InterestRoom, InterestNamespace)
	l.oneOf("adapter.sharded.mode", a.Sharded.Mode, ShardingStatic, ShardingDynamic, ShardingDynamicPrivate)
	between(l, "adapter.streams.count", a.Streams.Count, 1, 1000)
	positive(l, "adapter.streams.max_length", a.Streams.MaxLength)
	positive(l, "adapter.max_message", a.MaxMessage)
}

func (l *loader) checkLimits(limits *Limits) {
	atLeast(l, "limits.connections", limits.Connections, 0)
	atLeast(l, "limits.connections_per_ip", limits.ConnectionsPerIP, 0)
	atLeast(l, "limits.handshakes", limits.Handshakes, 0)
	atLeast(l, "limits.unknown_sids", limits.UnknownSIDs, 0)
	atLeast(l, "limits.rooms", limits.Rooms, 0)
	atLeast(l, "limits.namespaces", limits.Namespaces, 0)
	l.checkBucket("limits.events", limits.Events)
	l.checkBucket("limits.connects", limits.Connects)
}

func (l *loader) checkBucket(key string, bucket Bucket) {
	atLeast(l, key+".rate", bucket.Rate, 0)
	atLeast(l, key+".burst", bucket.Burst, 0)
}

// jwtAlgorithms are the signatures a token may carry. There is no none.
var jwtAlgorithms = []string{
	"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

func (l *loader) checkAuth(a *Auth) {
	if a.JWT.JWKS != "" {
		l.checkHTTPURL("auth.jwt.jwks", a.JWT.JWKS)
	}
	for i, algorithm := range a.JWT.Algorithms {
		l.oneOf(indexKey("auth.jwt.algorithms", i), algorithm, jwtAlgorithms...)
	}
	for i, place := range a.Token {
		if name, cookie := strings.CutPrefix(place, "cookie."); cookie && name != "" {
			continue
		}
		l.oneOf(indexKey("auth.token", i), place, "auth.token", "header.authorization", "query.token", "cookie.<name>")
	}
	atLeast(l, "auth.leeway", a.Leeway, 0)
	l.oneOf("auth.expiry", a.Expiry, ExpiryDisconnect, ExpiryKeep)
}

// quantity is a value with an order and a zero.
type quantity interface {
	time.Duration | Size | int
}

func positive[T quantity](l *loader, key string, value T) {
	if value <= 0 {
		l.fault(key, "%s must be more than 0", spell(value))
	}
}

func atLeast[T quantity](l *loader, key string, value, least T) {
	if value < least {
		l.fault(key, "%s must be at least %s", spell(value), spell(least))
	}
}

func between[T quantity](l *loader, key string, value, least, most T) {
	if value < least || value > most {
		l.fault(key, "%s must be from %s to %s", spell(value), spell(least), spell(most))
	}
}

func spell[T quantity](value T) string {
	switch value := any(value).(type) {
	case time.Duration:
		return formatDuration(value)
	case Size:
		return value.String()
	case int:
		return strconv.Itoa(value)
	}
	return ""
}

func (l *loader) notEmpty(key, value string) {
	if strings.TrimSpace(value) == "" {
		l.fault(key, "must not be empty")
	}
}

func (l *loader) oneOf(key, value string, valid ...string) {
	if !slices.Contains(valid, value) {
		l.fault(key, "%s is not one of %s; the nearest is %s", quote(value), strings.Join(valid, ", "), nearest(value, valid))
	}
}

// checkAddress checks what a listener listens on, or a client dials.
func (l *loader) checkAddress(key, address string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil || strings.ContainsAny(host, "@/ ") {
		l.fault(key, "%s is not host:port, such as :8080", quote(URL(address).String()))
		return
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		l.fault(key, "%s has no port from 0 to 65535", quote(address))
	}
}

func (l *loader) checkHTTPURL(key string, address URL) {
	u, err := url.Parse(string(address))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		// The text is not shown: parts of a password may stand anywhere in a malformed URL.
		l.fault(key, "is not a URL beginning with http:// or https://")
	}
}

// checkPair checks that a certificate and its key come together.
func (l *loader) checkPair(section string, cert PEM, key PrivateKey) {
	switch {
	case cert != "" && key == "":
		l.fault(section+".cert", "is of no use without %s.key", section)
	case cert == "" && key != "":
		l.fault(section+".key", "is of no use without %s.cert", section)
	}
}
