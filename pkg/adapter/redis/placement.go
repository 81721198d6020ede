package redis

import (
	"context"

	"github.com/carillon-io/carillon/internal/redisconn"
)

// placement tells which server serves a channel, and brings messages and interests to it.
type placement interface {
	// run serves until ctx ends.
	run(ctx context.Context)
	// push queues a message at the server of its slot.
	push(m message)
	// touch has the servers ask whether interests are wanted.
	touch(interests []interest)
	// owner is the server of a slot; nil while none is known.
	owner(slot uint16) *server
	// whenMoved calls f once when slots have been given to other servers, or at the end.
	whenMoved(f func())
	// leave takes from a server what it does not serve any more.
	leave(s *server)
	servers() []*server
}

// single is the placement of everything at one server.
type single struct{ *server }

func newSingle(source redisconn.Source, sp *speech, probe interest, e *env, connected func()) single {
	return single{newServer("", source, sp, false, probe, e, events{
		connected: connected,
		trouble:   func() {},
		moved:     func(*server, uint16, string) bool { return false },
		settled:   func(from *server, again []message) { from.queue.drop(from.queue.settle(again)) },
	})}
}

func (p single) push(m message)            { p.queue.drop(p.queue.push(m)) }
func (p single) owner(slot uint16) *server { return p.server }
func (p single) whenMoved(f func())        { f() }
func (p single) leave(*server)             {}
func (p single) servers() []*server        { return []*server{p.server} }
