package hub

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// MissingError names the nodes whose answers are missing from a result that holds those of all others.
type MissingError struct{ Nodes []string }

// Error names the nodes.
func (e *MissingError) Error() string {
	return "socketio: no answer from " + strings.Join(e.Nodes, ", ")
}

// Answer answers a query of another node about this namespace, at once where nothing has to be waited for. h may be nil:
// a namespace that does not exist here.
func (h *Hub) Answer(q adapter.Query, reply func(adapter.Reply)) {
	switch q := q.(type) {
	case adapter.FetchSockets:
		reply(adapter.Sockets(h.describe(q.Target)))
	case adapter.CountSockets:
		reply(adapter.Counted{Sockets: h.count(q.Rooms)})
	case adapter.ListSockets:
		reply(adapter.Sockets(h.page(q.Target, q.After, q.Limit)))
	case adapter.Perform:
		h.answerPerform(q.Command, reply)
	case adapter.AllRooms:
		reply(adapter.RoomNames(h.allRooms()))
	case adapter.ServerAsk:
		acked := func(args packet.Args) { reply(adapter.Acked{Args: args}) }
		if h == nil {
			acked(packet.Args{})
			return
		}
		h.serverEvent(q.Args, acked)
	case adapter.BroadcastAsk:
		if h == nil {
			reply(adapter.Count(0))
			return
		}
		h.ask(&q.Broadcast, q.Timeout, reply)
	}
}

// FetchSockets describes the members of all nodes that match. With an error, a MissingError among them, the list holds
// what is known.
func (h *Hub) FetchSockets(ctx context.Context, t rooms.Target, local bool) ([]adapter.SocketInfo, error) {
	list := h.describe(t)
	if local {
		return list, nil
	}
	err := h.query(ctx, adapter.FetchSockets{Namespace: h.name, Target: t}, func(r adapter.Reply) {
		if more, ok := r.(adapter.Sockets); ok {
			list = append(list, more...)
		}
	})
	return list, err
}

// AllRooms lists the rooms of all nodes, each once.
func (h *Hub) AllRooms(ctx context.Context) ([]string, error) {
	names := h.allRooms()
	err := h.query(ctx, adapter.AllRooms{Namespace: h.name}, func(r adapter.Reply) {
		if more, ok := r.(adapter.RoomNames); ok {
			names = append(names, more...)
		}
	})
	slices.Sort(names)
	return slices.Compact(names), err
}

// EmitWithAck sends a broadcast and collects what the members of all nodes acknowledge it with, until all have or ctx
// ends, which has a deadline.
func (h *Hub) EmitWithAck(ctx context.Context, b adapter.Broadcast, local bool) ([]packet.Args, error) {
	acks, late, err := h.collectAcks(ctx, b, local, math.MaxInt)
	if late && err == nil {
		if err = ctx.Err(); err == nil {
			err = context.DeadlineExceeded // the round's own timer was a little faster
		}
	}
	return acks.Answers, err
}

// ServerEmitWithAck sends an event to the other servers and collects what they answer.
func (h *Hub) ServerEmitWithAck(ctx context.Context, args packet.Args) (answers []packet.Args, err error) {
	err = h.query(ctx, adapter.ServerAsk{Namespace: h.name, Args: args}, func(r adapter.Reply) {
		if acked, ok := r.(adapter.Acked); ok {
			answers = append(answers, acked.Args)
		}
	})
	return answers, err
}

// query asks the other nodes.
func (h *Hub) query(ctx context.Context, q adapter.Query, reply func(adapter.Reply)) error {
	missing, err := h.adapter.Ask(ctx, q, reply)
	if err != nil {
		return fmt.Errorf("socketio: ask the cluster: %w", err)
	}
	if len(missing) > 0 {
		return &MissingError{Nodes: missing}
	}
	return nil
}

// describe lists the members of this node that match.
func (h *Hub) describe(t rooms.Target) []adapter.SocketInfo {
	if h == nil {
		return nil
	}
	var list []adapter.SocketInfo
	h.Each(t, func(m *Member) {
		info := m.Value().Info()
		info.Rooms = h.index.Rooms(nil, m)
		list = append(list, info)
	})
	return list
}

// allRooms lists the rooms of this node.
func (h *Hub) allRooms() []string {
	if h == nil {
		return nil
	}
	return h.index.AllRooms(nil)
}
