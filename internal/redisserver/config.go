package redisserver

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redissub"
)

// Config is what all servers of a node share. All fields but Fence and Identify are required.
type Config struct {
	Node string // its id
	// Probe is the channel of the node's probes; where servers have slots, a tag that says which is appended.
	Probe string
	// Fence is the channel of the fences of all nodes, likewise; empty: there are none. It is the same on all nodes.
	Fence string
	// Identify: the servers are those of a cluster among which messages spread, and tell their ids.
	Identify   bool
	Queue      redisqueue.Limits // of each server
	Linger     time.Duration     // how long a channel that nothing wants stays subscribed
	MaxMessage int               // the longest message received, in bytes
	Logger     *zap.Logger
	Refusals   *redisconn.Refusals
	Metrics    Metrics
	// Connected is called without locks when [Server.Connected] of some server has changed. It must not block.
	Connected func()
}

// Metrics are what the servers of a node show together.
type Metrics struct {
	Queue        redisqueue.Metrics
	In, Out      prometheus.Counter // messages, without probes
	Dropped      func(Drop)         // counts one received message that was not for this node
	Resubscribes prometheus.Counter
	Probe        prometheus.Observer // seconds that a probe took
}

// Drop is why a received message was not acted upon: a small number, because skipping must cost little.
type Drop uint8

// What a message may come to before it reaches the [Speech], which has reasons of its own from OtherDrops on.
const (
	Accepted Drop = iota // it was acted upon
	TooLarge
	UnknownChannel
	OtherDrops
)

// Why a message was not published, beside the reasons of its queue.
const (
	Unknown redisqueue.Drop = "unknown" // sent, but the connection ended before Redis answered
	Refused redisqueue.Drop = "refused" // Redis answered with an error
)

// What a [redisconn.Refusals] calls the commands that Redis refuses for lack of rights.
const (
	RefusedLogin     = "login"
	RefusedSubscribe = "subscribe"
	RefusedPublish   = "publish"
	RefusedProbe     = "probe" // publishing to ourselves
)

// Speech is how a kind of channels is spoken: its commands, and what is done with its messages.
type Speech struct {
	Sharded bool // SPUBLISH and SSUBSCRIBE instead of PUBLISH and SUBSCRIBE
	// Wanted reports whether this node wants an interest at this moment. It is called with the server's lock.
	Wanted func(in redissub.Interest) bool
	// Receive acts on a message that came for an interest, or returns why it was not for this node. It is called by the
	// goroutine that reads, and must not keep what the push shares.
	Receive func(in redissub.Interest, p *redisconn.Push) Drop
	// Fenced is Receive for fences. server is the id of the server that passed it on, if that is known.
	Fenced func(server string, p *redisconn.Push) Drop
}

func (s *Speech) publish() string {
	if s.Sharded {
		return "SPUBLISH"
	}
	return "PUBLISH"
}
