package config

import "time"

// Redis is where the cluster's messages travel. At most one of URL, Cluster and Sentinel is given.
type Redis struct {
	// URL is redis://, rediss:// or unix://.
	URL      URL           `key:"url"`
	Cluster  RedisCluster  `key:"cluster"`
	Sentinel RedisSentinel `key:"sentinel"`
	// Username and Password hold for whichever of the three is used; the URL's own are used where these are empty.
	Username string   `key:"username"`
	Password Secret   `key:"password"`
	TLS      RedisTLS `key:"tls"`
	// Prefix begins the gateway's own keys and channels.
	Prefix string     `key:"prefix"`
	Queue  RedisQueue `key:"queue"`
}

// Configured reports whether any Redis is named, so whether the node is part of a cluster.
func (r *Redis) Configured() bool {
	return r.URL != "" || len(r.Cluster.Addresses) > 0 || len(r.Sentinel.Addresses) > 0
}

// RedisCluster names some nodes of a Redis Cluster, each as host:port.
type RedisCluster struct {
	Addresses []string `key:"addresses"`
}

// RedisSentinel names the sentinels that know where Master is. Username and Password are the sentinels' own.
type RedisSentinel struct {
	Addresses []string `key:"addresses"`
	Master    string   `key:"master"`
	Username  string   `key:"username"`
	Password  Secret   `key:"password"`
}

// RedisTLS is how a Redis proves itself, and the gateway to it. CA, Cert and Key are PEM text or file names.
type RedisTLS struct {
	CA         string     `key:"ca"`
	Cert       string     `key:"cert"`
	Key        PrivateKey `key:"key"`
	ServerName string     `key:"server_name"`
}

// RedisQueue bounds the publishes that wait for Redis; beyond any of the three the oldest is dropped and counted.
type RedisQueue struct {
	Messages int           `key:"messages"`
	Bytes    Size          `key:"bytes"`
	Age      time.Duration `key:"age"`
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
	// Kind is never empty after Load: without a choice it is pubsub with a Redis, else memory.
	Kind string `key:"kind"`
	// Key is the channel prefix, the same in Node's adapters and emitters.
	Key string `key:"key"`
	// RequestTimeout bounds a question to the other nodes.
	RequestTimeout time.Duration `key:"request_timeout"`
	// OwnResponses asks for answers on a channel of this node alone, as Node's publishOnSpecificResponseChannel.
	OwnResponses bool `key:"own_responses"`
	// Interest is what a node receives: what its rooms need, or everything of its namespaces, as Node's adapter does.
	Interest string `key:"interest"`
	// Python is the channel that python-socketio's servers and managers share; empty means not to join it.
	Python  string          `key:"python"`
	Sharded AdapterSharding `key:"sharded"`
	// ClassicEmitters listens on the classic channels as well when Kind is sharded or streams.
	ClassicEmitters bool `key:"classic_emitters"`
	// MaxMessage is the largest message taken from Redis.
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
	Mode string `key:"mode"`
}
