package config

import "time"

// The transports of Engine.Transports.
const (
	TransportPolling   = "polling"
	TransportWebSocket = "websocket"
)

// Engine is the Engine.IO layer: sessions, transports and heartbeats.
type Engine struct {
	// polling, websocket or both.
	Transports []string `key:"transports"`
	// How often a client is pinged. Must be under the idle timeout of balancers.
	PingInterval time.Duration `key:"ping_interval"`
	// How long an answer may take before the client counts as gone.
	PingTimeout time.Duration `key:"ping_timeout"`
	// How long the change from polling to WebSocket may take.
	UpgradeTimeout time.Duration `key:"upgrade_timeout"`
	// Largest message or request body taken from a client.
	MaxPayload Size `key:"max_payload"`
	// Lets in Socket.IO 2.x clients. Their socket ids are session secrets: rules must not publish sid. Always on in gateway dev.
	EIO3 bool `key:"eio3"`
	// Compression of what is sent.
	Compression Compression `key:"compression"`
	// Memory that may wait for one client. A client that makes no progress for 5 s with more than this waiting is closed as a
	// slow consumer.
	Outbox Size `key:"outbox"`
	// Memory over which it is closed at once. Where only outbox is given, at least that.
	OutboxHard Size `key:"outbox_hard"`
}

// Compression says which transport compresses what it sends.
type Compression struct {
	// gzip or deflate for answers over 1 KiB.
	Polling bool `key:"polling"`
	// permessage-deflate without context takeover. Costs CPU for each message and client.
	WebSocket bool `key:"websocket"`
}

// The parsers of SocketIO.Parser.
const (
	ParserDefault = "default"
	ParserMsgpack = "msgpack"
	ParserAuto    = "auto"
)

// SocketIO is the Socket.IO layer: packets, namespaces and recovery.
type SocketIO struct {
	// Encoding of packets: default, msgpack (socket.io-msgpack-parser), or auto: that of a client's first packet.
	Parser string `key:"parser"`
	// How long a client may stay without joining a namespace.
	ConnectTimeout time.Duration `key:"connect_timeout"`
	// Binary attachments of one packet.
	MaxAttachments int `key:"max_attachments"`
	// Namespaces that one connection may be in. One more is refused, the others stay.
	MaxNamespaces int `key:"max_namespaces"`
	// Nesting of JSON and msgpack, from clients and from Redis; at most 10,000.
	MaxDepth int `key:"max_depth"`
	// Size of the auth that a client sends when it joins a namespace. A larger one is refused with the code `invalid`.
	MaxAuth Size `key:"max_auth"`
	// Connection state recovery: a client whose connection broke comes back as the same socket and gets what it missed.
	Recovery Recovery `key:"recovery"`
}

// Recovery hands a client that comes back what it missed.
type Recovery struct {
	// On or off for all namespaces; `namespaces.<name>.recovery: false` leaves one out.
	Enabled bool `key:"enabled"`
	// How long a client may stay away.
	Window time.Duration `key:"window"`
	// Memory of this node for what clients may have missed.
	Bytes Size `key:"bytes"`
}
