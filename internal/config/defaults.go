package config

import "time"

// Default returns the configuration of an empty file. Every default of the gateway stands here and nowhere else, but
// for Adapter.Kind, which Load chooses by whether there is a Redis.
func Default() Config {
	return Config{
		Server: Server{
			Address:       ":8080",
			Path:          "/socket.io/",
			HeaderTimeout: 10 * time.Second,
		},
		Ops:  Ops{Address: ":9090"},
		Peer: Peer{Address: ":9091"},
		Engine: Engine{
			Transports:     []string{TransportPolling, TransportWebSocket},
			PingInterval:   25 * time.Second,
			PingTimeout:    20 * time.Second,
			UpgradeTimeout: 10 * time.Second,
			MaxPayload:     Megabyte,
			Compression:    Compression{Polling: true},
			Outbox:         Mebibyte,
			OutboxHard:     8 * Mebibyte,
		},
		SocketIO: SocketIO{
			Parser:         ParserAuto,
			ConnectTimeout: 45 * time.Second,
			MaxAttachments: 10,
			MaxNamespaces:  16,
			MaxDepth:       128,
			MaxAuth:        16 * Kibibyte,
			Recovery:       Recovery{Window: 2 * time.Minute, Bytes: 64 * Mebibyte},
		},
		Redis: Redis{
			Prefix: "carillon",
			Queue:  RedisQueue{Messages: 10_000, Bytes: 16 * Mebibyte, Age: 10 * time.Second},
		},
		Adapter: Adapter{
			Key:             "socket.io",
			RequestTimeout:  5 * time.Second,
			Interest:        InterestRoom,
			Sharded:         AdapterSharding{Mode: ShardingDynamic},
			Streams:         AdapterStreaming{Count: 1, MaxLength: 10_000},
			ClassicEmitters: true,
			MaxMessage:      8 * Mebibyte,
		},
		Drain: Drain{Delay: 5 * time.Second, Window: 20 * time.Second},
		Limits: Limits{
			UnknownSIDs: 100,
			OutboxTotal: Share{Percent: 25},
			Rooms:       1000,
			Namespaces:  10_000,
			Connects:    Bucket{Rate: 20, Burst: 50},
		},
		Auth: Auth{
			Token:  []string{"auth.token", "header.authorization", "query.token"},
			Expiry: ExpiryDisconnect,
		},
		Routes:     map[string]Route{},
		Namespaces: map[string]Namespace{"/": {}},
		Log:        Log{Level: "info", Format: LogJSON},
	}
}

// defaulter is an entry of a map or a list, or an optional section, that has defaults of its own.
type defaulter interface{ setDefaults() }

// DefaultRoute returns what a route is where its entry in the file says nothing.
func DefaultRoute() Route {
	return Route{Partitions: 1, Deadline: 10 * time.Second, Keep: time.Hour, MaxEntries: 1_000_000}
}

func (r *Route) setDefaults() { *r = DefaultRoute() }

func (w *Webhook) setDefaults() { *w = Webhook{Timeout: 10 * time.Second, Retries: 8} }

func (a *Ask) setDefaults() { *a = Ask{Timeout: 2 * time.Second} }

func (h *History) setDefaults() { *h = History{Namespace: "/", Messages: 100, Age: 24 * time.Hour} }

func (p *Presence) setDefaults() { *p = Presence{Namespace: "/", Grace: 10 * time.Second} }
