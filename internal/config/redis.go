package config

import "time"

// Redis is where the cluster's messages travel.
type Redis struct {
	// redis://user:password@host:6379/0, rediss:// for TLS, or unix:///path.
	URL URL `key:"url"`
	// Redis Cluster.
	Cluster RedisCluster `key:"cluster"`
	// Sentinel.
	Sentinel RedisSentinel `key:"sentinel"`
	// User, for whichever of the three is used. Empty: that of the URL.
	Username string `key:"username"`
	// Its password. Empty: that of the URL.
	Password Secret `key:"password"`
	// TLS to Redis; with a URL it has to be rediss://.
	TLS RedisTLS `key:"tls"`
	// Begins the gateway's own keys and channels.
	Prefix string `key:"prefix"`
	// Publishes that wait for Redis. Over any of the three bounds the oldest is dropped and counted. Each Redis server has a
	// queue of its own with these bounds: with adapter.kind sharded on a cluster, each master.
	Queue RedisQueue `key:"queue"`
}

// Configured reports whether any Redis is named, so whether the node is part of a cluster.
func (r *Redis) Configured() bool {
	return r.URL != "" || len(r.Cluster.Addresses) > 0 || len(r.Sentinel.Addresses) > 0
}

// RedisCluster names some nodes of a Redis Cluster, each as host:port.
type RedisCluster struct {
	// host:port of some nodes; the others are found.
	Addresses []string `key:"addresses"`
}

// RedisSentinel names the sentinels that know where Master is.
type RedisSentinel struct {
	// host:port of the sentinels.
	Addresses []string `key:"addresses"`
	// Name of the master there.
	Master string `key:"master"`
	// User of the sentinels themselves.
	Username string `key:"username"`
	// Its password.
	Password Secret `key:"password"`
}

// RedisTLS is how a Redis proves itself, and the gateway to it.
type RedisTLS struct {
	// Certificates of the authority, PEM text or the name of a file. Empty: those of the system.
	CA PEM `key:"ca"`
	// Certificate of the gateway, PEM text or the name of a file. Empty: it shows none.
	Cert PEM `key:"cert"`
	// Its key, PEM text or the name of a file.
	Key PrivateKey `key:"key"`
	// Name that the certificate of Redis must have. Empty: the host.
	ServerName string `key:"server_name"`
}

// RedisQueue bounds the publishes that wait for one Redis server.
type RedisQueue struct {
	// How many.
	Messages int `key:"messages"`
	// How large all together.
	Bytes Size `key:"bytes"`
	// For how long each.
	Age time.Duration `key:"age"`
}

// The kinds of Adapter.Kind.
const (
	AdapterMemory  = "memory"
	AdapterPubSub  = "pubsub"
	AdapterSharded = "sharded"
	AdapterStreams = "streams"
)

// Adapter is how nodes share what they emit.
type Adapter struct {
	// memory (one node), pubsub (classic channels, as Node's redis adapter), sharded (sharded Pub/Sub, Redis 7), or streams (Redis Streams, as
	// Node's redis streams adapter 0.3). Empty: pubsub with a Redis, else memory.
	Kind string `key:"kind"`
	// Prefix of the channels, the same in all Node servers and emitters of the cluster.
	Key string `key:"key"`
	// How long an answer of other nodes is waited for.
	RequestTimeout time.Duration `key:"request_timeout"`
	// Other nodes answer on a channel of this node alone: Node's publishOnSpecificResponseChannel.
	OwnResponses bool `key:"own_responses"`
	// What a node receives: room (what its clients are in) or namespace (everything in its namespaces, as Node's adapter). namespace costs more,
	// and is for foreign emitters that make sockets join a room and emit to it at once.
	Interest string `key:"interest"`
	// Channel of python-socketio's servers and managers, whose default is socketio. Empty: not joined.
	Python string `key:"python"`
	// For kind: sharded.
	Sharded AdapterSharding `key:"sharded"`
	// For kind: streams.
	Streams AdapterStreaming `key:"streams"`
	// With kind sharded or streams, listen on the classic channels as well, where most emitters publish.
	ClassicEmitters bool `key:"classic_emitters"`
	// Largest message taken from Redis.
	MaxMessage Size `key:"max_message"`
}

// What Adapter.Interest may say.
const (
	InterestRoom      = "room"
	InterestNamespace = "namespace"
)

// The modes of AdapterSharding.Mode.
const (
	ShardingStatic         = "static"
	ShardingDynamic        = "dynamic"
	ShardingDynamicPrivate = "dynamic-private"
)

// AdapterSharding chooses which rooms get a channel of their own.
type AdapterSharding struct {
	// Which rooms have a channel of their own: static (none), dynamic (all but sockets' own), dynamic-private (all).
	Mode string `key:"mode"`
}

// AdapterStreaming is which streams there are. Name and count are the same on all nodes and Node servers of the cluster.
type AdapterStreaming struct {
	// Name of the stream. Empty: adapter.key.
	Name string `key:"name"`
	// How many streams; each has some of the namespaces, as Node's streamCount distributes them.
	Count int `key:"count"`
	// How many entries a stream keeps, roughly.
	MaxLength int `key:"max_length"`
}
