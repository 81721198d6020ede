package config

import "time"

// The transports of Engine.Transports.
const (
	TransportPolling   = "polling"
	TransportWebSocket = "websocket"
)

// Engine is the Engine.IO layer: sessions, transports and heartbeats.
type Engine struct {
	// Transports a client may use; never empty after Load.
	Transports     []string      `key:"transports"`
	PingInterval   time.Duration `key:"ping_interval"`
	PingTimeout    time.Duration `key:"ping_timeout"`
	UpgradeTimeout time.Duration `key:"upgrade_timeout"`
	// MaxPayload is the largest body or message taken from a client.
	MaxPayload Size `key:"max_payload"`
	// EIO3 lets Socket.IO 2.x clients in.
	EIO3        bool        `key:"eio3"`
	Compression Compression `key:"compression"`
	// Outbox is the memory that may wait for one client: one that makes no progress for 5 s with more than that is closed
	// as a slow consumer.
	Outbox Size `key:"outbox"`
	// OutboxHard closes it at once.
	OutboxHard Size `key:"outbox_hard"`
}

// Compression says which transport compresses what it sends.
type Compression struct {
	Polling   bool `key:"polling"`
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
	// Parser is the packet encoding clients speak: default, msgpack, or auto for what their first packet shows.
	Parser string `key:"parser"`
	// ConnectTimeout closes a client that has joined no namespace for this long.
	ConnectTimeout time.Duration `key:"connect_timeout"`
	// MaxAttachments bounds the binary attachments of one packet.
	MaxAttachments int `key:"max_attachments"`
	// MaxNamespaces bounds the namespaces one connection may join.
	MaxNamespaces int `key:"max_namespaces"`
	// MaxDepth bounds the nesting of JSON and msgpack from clients. From Redis 32 levels more are read, since rules and
	// publishers wrap what clients sent.
	MaxDepth int `key:"max_depth"`
	// MaxAuth bounds what a CONNECT may carry.
	MaxAuth  Size     `key:"max_auth"`
	Recovery Recovery `key:"recovery"`
}

// Recovery hands a client that comes back within Window what it missed.
type Recovery struct {
	Enabled bool          `key:"enabled"`
	Window  time.Duration `key:"window"`
	// Bytes bounds what a node keeps for those who may come back.
	Bytes Size `key:"bytes"`
}
