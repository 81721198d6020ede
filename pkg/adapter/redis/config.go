package redis

import (
	"crypto/rand"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/rediswire"
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
	// Tag is what the ids of all sockets of this node begin with (four characters). With it one pattern covers all
	// their own rooms. Empty: these rooms are subscribed one by one like any room, which costs a command per socket,
	// but suits servers that deliver patterns and channels out of order with each other, as miniredis does.
	Tag string
	// Queue bounds the messages waiting for Redis.
	Queue Queue
	// RequestTimeout is how long a query and a Confirm wait; default 5 s.
	RequestTimeout time.Duration
	// OwnResponses answers queries on the channel of the node that asked, as Node's publishOnSpecificResponseChannel
	// does, instead of the one that all nodes hear.
	OwnResponses bool
	// MaxMessage is the longest message read from Redis, and the longest answer to a query, in bytes; default 8 MiB.
	MaxMessage int
	// MaxDepth is the deepest nesting read from Redis; default 128.
	MaxDepth int
	// Linger is how long a room that nobody here is in any more stays subscribed; default 1 s.
	Linger time.Duration
	// Logger hears of changes of state; nil: nobody does.
	Logger *zap.Logger
	// Registry takes the metrics; nil: they are kept, but not shown.
	Registry prometheus.Registerer
}

// Queue bounds what waits for Redis. Over a bound the oldest messages are dropped and counted.
type Queue struct {
	Messages int           // default 10,000
	Bytes    int           // default 16 MiB
	Age      time.Duration // default 10 s
}

const nodeIDLength = 12

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
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	switch {
	case c.Queue.Messages < 0 || c.Queue.Bytes < 0 || c.Queue.Age < 0:
		return c, errors.New("redis: bounds of the publish queue must be positive")
	case c.RequestTimeout < 0 || c.Linger < 0:
		return c, errors.New("redis: durations must be positive")
	case c.MaxMessage < 0 || c.MaxDepth < 0:
		return c, errors.New("redis: limits of messages must be positive")
	case c.Tag != "" && len(c.Tag) != tagLength:
		return c, errors.New("redis: tag must have four characters")
	case c.NodeID == rediswire.EmitterUID:
		return c, errors.New("redis: node id is the name that emitters use")
	}
	return c, nil
}

const tagLength = 4

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
