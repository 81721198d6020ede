package redisserver

import (
	"context"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redissub"
)

// Placement maps a channel to a server, and brings messages and interests there.
type Placement interface {
	// Run serves until ctx ends.
	Run(ctx context.Context)
	// Push queues a message at the server of its slot. It never waits.
	Push(m redisqueue.Message)
	// Touch has the servers ask whether interests are wanted.
	Touch(interests []redissub.Interest)
	// Owner is the server of a slot; nil while none is known.
	Owner(slot uint16) *Server
	Servers() []*Server

	// fence queues what message makes for each server and those of the slots that it serves, all at one moment. It reports
	// false, and nothing is queued, where a server is not known, messages are held back, or message reports false.
	fence(slots []uint16, message func(s *Server, slots []uint16) (redisqueue.Message, bool)) bool
	// whenMoved calls f once when slots have been given to other servers, or at the end.
	whenMoved(f func())
	// leave takes from a server what it does not serve any more.
	leave(s *Server)
}

// Single is the placement of everything at one server.
type Single struct{ server *Server }

// NewSingle makes the placement at the server that source leads to. probe is the interest in this node's probes.
func NewSingle(source redisconn.Source, sp *Speech, probe redissub.Interest, cfg *Config) Single {
	return Single{newServer(cfg, sp, "", source, false, probe, alone{})}
}

func (p Single) Run(ctx context.Context)             { p.server.run(ctx) }
func (p Single) Push(m redisqueue.Message)           { p.server.queue.Push(m).Finish() }
func (p Single) Touch(interests []redissub.Interest) { p.server.touch(interests) }
func (p Single) Owner(uint16) *Server                { return p.server }
func (p Single) Servers() []*Server                  { return []*Server{p.server} }
func (p Single) whenMoved(f func())                  { f() }
func (p Single) leave(*Server)                       {}

// alone handles the events of a server that is the only one.
type alone struct{}

func (alone) trouble()                                         {}
func (alone) moved(*Server, uint16, string) bool               { return false }
func (alone) settled(from *Server, again []redisqueue.Message) { from.queue.Settle(again).Finish() }
