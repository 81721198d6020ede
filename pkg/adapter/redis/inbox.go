package redis

import (
	"errors"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/joined"
	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redispeers"
	"github.com/carillon-io/carillon/internal/redisquestions"
	"github.com/carillon-io/carillon/internal/redisserver"
	"github.com/carillon-io/carillon/internal/redissub"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// inbox is what every dialect does with what it receives, and what it needs to know for that.
type inbox struct {
	// Static after construction.
	config     Config
	limits     rediswire.Limits
	log        *zap.Logger
	metrics    *metrics
	refusals   *redisconn.Refusals
	namespaces *namespaces
	questions  redisquestions.Questions
	peers      *redispeers.Membership
	tags       *tags        // of the classic set
	joined     joined.Rooms // by commands of this node
	fences     *fences      // of this node; nil without Config.Fences

	// delivering has the node above receive one message at a time where there are several connections.
	delivering sync.Mutex

	node     adapter.Node      // set by Run before running
	follower adapter.FenceNode // the same one; nil if it follows nothing
	running  atomic.Bool
}

// wanted reports whether this node wants an interest at this moment.
func (a *inbox) wanted(in redissub.Interest) bool {
	switch in.Kind {
	case redissub.Room:
		return a.running.Load() && a.node.Holds(in.Namespace, in.Room)
	case redissub.Shared:
		return a.namespaces.isAsking(in.Namespace)
	case redissub.Pattern, redissub.Probe:
		return true
	default:
		return a.namespaces.isOpen(in.Namespace)
	}
}

// hasMember reports whether a message for an interest concerns this node.
func (a *inbox) hasMember(in redissub.Interest) bool {
	if in.Kind == redissub.Room {
		return a.node.Holds(in.Namespace, in.Room)
	}
	return a.namespaces.isOpen(in.Namespace)
}

// follows reports whether what comes in a namespace is handed over with its place in the order of all nodes, own commands too.
func (a *inbox) follows(nsp string) bool { return a.namespaces.isFollowed(nsp) && a.follower != nil }

// refuse is why rediswire does not accept a message.
func (a *inbox) refuse(nsp string, err error) redisserver.Drop {
	a.log.Debug("message refused", zap.String("namespace", nsp), zap.Error(err))
	switch {
	case errors.Is(err, rediswire.ErrTooLarge):
		return redisserver.TooLarge
	case errors.Is(err, rediswire.ErrNamespace):
		return droppedNamespace
	case errors.Is(err, rediswire.ErrType):
		return droppedUnknownType
	}
	return droppedMalformed
}

// refuseAnswer is refuse for what may be an answer. One that is too long is an answer all the same, whose content is
// missing.
func (a *inbox) refuseAnswer(nsp string, payload []byte, err error) redisserver.Drop {
	if id, ok := rediswire.AnswerID(payload); ok && errors.Is(err, rediswire.ErrTooLarge) {
		a.questions.Receive(rediswire.Response{ID: id, Extent: rediswire.Extent{Cut: true}})
	}
	return a.refuse(nsp, err)
}

// answeredBy records that a node has sent something, and reports whether it is another one.
func (a *inbox) answeredBy(uid string) bool {
	if uid == a.config.NodeID {
		return false
	}
	a.peers.Answered(uid)
	return true
}

// receiveResponse hands an answer of a classic node to the query that waits for it.
func (a *inbox) receiveResponse(payload []byte) redisserver.Drop {
	r, err := rediswire.DecodeResponse(payload, a.limits)
	switch {
	case err != nil:
		return a.refuseAnswer("", payload, err)
	case !a.answeredBy(r.UID):
		return droppedOwn
	}
	return a.receiveAnswer(r)
}

// receiveAnswer hands a message to the query that it answers.
func (a *inbox) receiveAnswer(r rediswire.Response) redisserver.Drop {
	switch asked, kept := a.questions.Receive(r); {
	case !asked:
		return droppedUnasked
	case !kept:
		return droppedOverflow
	}
	return redisserver.Accepted
}

// answerQuery has the node above answer a query. A namespace that has been closed is still asked about until its channel is
// unsubscribed, and counts as a node that will answer: it does so at once and with nothing.
//
// A question for one other node is not answered at all, and one for the servers without names with nothing.
func (a *inbox) answerQuery(nsp string, q adapter.Query, reply func(adapter.Reply)) {
	if list, ok := q.(adapter.ListSockets); ok && list.Node != a.config.NodeID {
		if list.Node == "" {
			reply(adapter.Sockets{})
		}
		return
	}
	if a.namespaces.isOpen(nsp) {
		a.node.Answer(q, reply)
		return
	}
	switch q.(type) {
	case adapter.FetchSockets, adapter.ListSockets:
		reply(adapter.Sockets{})
	case adapter.CountSockets, adapter.Perform:
		reply(adapter.Counted{})
	case adapter.AllRooms:
		reply(adapter.RoomNames{})
	case adapter.ServerAsk:
		reply(adapter.Acked{})
	case adapter.BroadcastAsk:
		reply(adapter.Count(0))
	}
}

// justJoined reports whether a broadcast is for a room that a command of this node has just made sockets join: other nodes
// may not have subscribed to its channel yet, and receive it on that of the namespace.
func (a *inbox) justJoined(b *adapter.Broadcast) bool {
	return len(b.Target.Rooms) == 1 && a.joined.Has(b.Namespace, b.Target.Rooms[0])
}

// fenced takes a fence. It is asked for only where there are fences.
func (a *inbox) fenced(server string, p *redisconn.Push) redisserver.Drop {
	return a.fences.receive(server, p)
}
