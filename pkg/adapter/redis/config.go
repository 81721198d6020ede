package redis

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redispeers"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/internal/streamsession"
)

// Config configures an Adapter. The zero value works beside Node's adapters and emitters in their default settings.
type Config struct {
	// Key is the prefix of all channels shared with Node's adapters and emitters; default "socket.io".
	Key string
	// Prefix begins the names of the channels that are Carillon's own; default "carillon".
	Prefix string
	// NodeID names this node to the others. It must be unique in the cluster and new with every process; default
	// random.
	NodeID string
	// Tag is what the ids of this node's sockets begin with (four characters), until Redis says that another node has
	// it: Adapter.Tag tells. With it one pattern covers all their own rooms. Empty: these rooms are subscribed one by
	// one like any room, which costs a command per socket, but suits servers that deliver patterns and channels out of
	// order with each other, as miniredis does.
	Tag string
	// PeerAddress returns the base URL at which other nodes hand over requests for this node's sessions; Adapter.Owners
	// returns theirs. It must not wait, and is first called by Run. Empty, or a nil func: there is none.
	PeerAddress func() string
	// Version is what this node tells the others of itself.
	Version string
	// Queue bounds the messages waiting for each Redis server: on a cluster with sharded channels every master has a queue.
	Queue Queue
	// RequestTimeout is how long a query and a Confirm wait; default 5 s.
	RequestTimeout time.Duration
	// OwnResponses answers queries on the channel of the node that asked, as Node's publishOnSpecificResponseChannel
	// does, instead of the one that all nodes receive.
	OwnResponses bool
	// MaxMessage is the longest message read from Redis, and the longest answer to a query, in bytes; default 8 MiB.
	MaxMessage int
	// MaxDepth is how deep the arguments may nest that clients of the cluster send; default 128. From Redis 32 levels more
	// are read, since rules and publishers wrap what clients sent.
	MaxDepth int
	// Sharding makes this node speak on sharded channels, with Node's createShardedAdapter instead of createAdapter; nil:
	// on classic ones. It needs Redis 7 or later.
	Sharding *Sharding
	// Streams makes this node speak through Redis Streams, with Node's @socket.io/redis-streams-adapter 0.3; nil: it does not.
	// It excludes Sharding.
	Streams *Streams
	// Fences has Adapter.Fencer return one: this node subscribes to a channel more, Prefix with ":fence" appended, at each server.
	// It excludes Streams.
	Fences bool
	// Interest is what this node listens to on classic channels; default InterestRoom.
	Interest Interest
	// Linger is how long a room stays subscribed after its last member here has left; default 1 s.
	Linger time.Duration
	// Logger logs changes of state; nil: nothing is logged.
	Logger *zap.Logger
	// Tracing takes spans of what goes through Redis; nil: there are none, and nothing is spent on them.
	Tracing *Tracing
	// Registry takes the metrics; nil: they are kept, but not shown.
	Registry prometheus.Registerer
}

// Interest is what a node listens to on classic channels.
type Interest string

const (
	// InterestRoom is the rooms that its own sockets are in.
	InterestRoom Interest = "room"
	// InterestNamespace is everything in its namespaces, as Node listens: then a message reaches a room that was joined an
	// instant before, on the word of another process.
	InterestNamespace Interest = "namespace"
)

// Sharding is how a node uses sharded channels.
type Sharding struct {
	// Mode must be the same on all nodes; default ModeDynamic.
	Mode Mode
	// ClassicEmitters listens on the classic channels as well, where all emitters publish. Nothing but answers is
	// published there.
	ClassicEmitters bool
}

// Streams is how a node uses streams. Name and Count must be the same on all nodes.
type Streams struct {
	Name string // default Config.Key; of several, -0, -1 and so on follow it
	// Count is how many streams there are, each with some of the namespaces, in Node's distribution; default 1.
	Count int
	// MaxLength is how many entries a stream keeps, roughly; default 10,000. A node that falls further behind has missed
	// what was trimmed, which carillon_redis_stream_trimmed_total counts.
	MaxLength int
	// ClassicEmitters listens to what emitters for the classic adapter publish as well.
	ClassicEmitters bool
	// SessionPrefix is what the keys of sessions begin with, as Node's sessionKeyPrefix; default "sio:session:". They are written
	// where the server above recovers clients.
	SessionPrefix string
}

// Mode is which rooms have a sharded channel of their own, in the words of Node's subscriptionMode.
type Mode string

// The modes. What is for other rooms, or for several, goes through the one channel of the namespace.
const (
	ModeDynamic        Mode = "dynamic"         // all rooms but those whose name is as long as a socket's id
	ModeStatic         Mode = "static"          // none
	ModeDynamicPrivate Mode = "dynamic-private" // all
)

// wire is for modes that have been checked.
func (m Mode) wire() rediswire.Mode {
	mode, err := rediswire.ParseMode(string(m))
	if err != nil {
		panic(err)
	}
	return mode
}

// Queue bounds what waits for one Redis server. Over a bound the oldest messages are dropped and counted.
type Queue struct {
	Messages int           // default 10,000
	Bytes    int           // default 16 MiB
	Age      time.Duration // default 10 s
}

// Tracing makes spans of commands on their way through Redis: "publish" from Adapter.Publish until the outcome is
// known, and "receive" at each node that acts on the command, from when it was read until the Node above has delivered
// it. Nothing is added to the messages, which are Node's: the trace id is a hash of the channel and the message, so that
// all nodes that see the same bytes take part in the same trace. Messages that are equal to the byte share one.
type Tracing struct {
	// Tracer makes the spans.
	Tracer trace.Tracer
	// Sampled decides by the trace id alone, or the spans of one message would be sampled on some nodes and not on others;
	// nil: all messages are.
	Sampled func(trace.TraceID) bool
}

const (
	nodeIDLength = 12
	maxStreams   = 1000 // each has two connections
)

// speaksClassic reports whether this node publishes on classic channels.
func (c *Config) speaksClassic() bool { return c.Sharding == nil && c.Streams == nil }

func (c Config) withDefaults() (Config, error) {
	setDefault(&c.Key, "socket.io")
	setDefault(&c.Prefix, "carillon")
	setDefault(&c.NodeID, rand.Text()[:nodeIDLength])
	setDefault(&c.Queue.Messages, 10_000)
	setDefault(&c.Queue.Bytes, 16<<20)
	setDefault(&c.Queue.Age, 10*time.Second)
	setDefault(&c.RequestTimeout, 5*time.Second)
	setDefault(&c.MaxMessage, 8<<20)
	setDefault(&c.MaxDepth, 128)
	setDefault(&c.Linger, time.Second)
	setDefault(&c.Interest, InterestRoom)
	if c.Sharding != nil {
		sharding := *c.Sharding
		setDefault(&sharding.Mode, ModeDynamic)
		c.Sharding = &sharding
		if _, err := rediswire.ParseMode(string(sharding.Mode)); err != nil {
			return c, fmt.Errorf("redis: %w", err)
		}
	}
	if c.Streams != nil {
		streams := *c.Streams
		setDefault(&streams.Name, c.Key)
		setDefault(&streams.Count, 1)
		setDefault(&streams.MaxLength, 10_000)
		setDefault(&streams.SessionPrefix, streamsession.DefaultPrefix)
		c.Streams = &streams
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	switch {
	case c.Queue.Messages < 0 || c.Queue.Bytes < 0 || c.Queue.Age < 0:
		return c, errors.New("redis: bounds of the publish queue must be positive")
	case c.RequestTimeout < 0 || c.Linger < 0:
		return c, errors.New("redis: durations must be positive")
	case c.Streams != nil && c.Sharding != nil:
		return c, errors.New("redis: either sharding or streams")
	case c.Streams != nil && c.Fences:
		return c, errors.New("redis: streams have no fences")
	case c.Streams != nil && (c.Streams.Count < 0 || c.Streams.Count > maxStreams || c.Streams.MaxLength < 0):
		return c, fmt.Errorf("redis: streams: there may be 1 to %d, of a positive length", maxStreams)
	case c.MaxMessage < 0 || c.MaxDepth < 0:
		return c, errors.New("redis: limits of messages must be positive")
	case c.Interest != InterestRoom && c.Interest != InterestNamespace:
		return c, fmt.Errorf("redis: no interest %q", c.Interest)
	case c.Tag != "" && len(c.Tag) != redispeers.TagLength:
		return c, errors.New("redis: tag must have four characters")
	case c.NodeID == rediswire.EmitterUID:
		return c, errors.New("redis: node id is the name that emitters use")
	}
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
