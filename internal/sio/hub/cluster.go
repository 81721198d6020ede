package hub

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/recovery/move"
	"github.com/carillon-io/carillon/internal/sio/tally"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// localName is the name of a node whose adapter gives it none.
const localName = "local"

// NodeID is the name of this node in the cluster.
func (h *Hub) NodeID() string {
	if named, ok := h.adapter.(interface{ NodeID() string }); ok {
		return named.NodeID()
	}
	return localName
}

// CountSockets counts the members of any of the rooms, or all members when there are no rooms, by node; this node comes
// first, and servers that do not tell their names have none. With an error, a MissingError among them, the list holds what
// is known.
func (h *Hub) CountSockets(ctx context.Context, names []string) ([]adapter.Counted, error) {
	list := []adapter.Counted{{Node: h.NodeID(), Sockets: h.count(names)}}
	err := h.query(ctx, adapter.CountSockets{Namespace: h.name, Rooms: names}, func(r adapter.Reply) {
		if counted, ok := r.(adapter.Counted); ok {
			list = append(list, counted)
		}
	})
	return list, err
}

func (h *Hub) count(names []string) int {
	if h == nil {
		return 0
	}
	return h.Each(rooms.Target{Rooms: names}, func(*Member) {})
}

// ListSockets describes a page of the members on one node: in the order of their ids, those with an id greater than after,
// limit of them at most. Without a node it is a page of those on servers that do not tell their names.
func (h *Hub) ListSockets(ctx context.Context, t rooms.Target, node, after string, limit int) ([]adapter.SocketInfo, error) {
	if node == h.NodeID() {
		return h.page(t, after, limit), nil
	}
	var list []adapter.SocketInfo
	q := adapter.ListSockets{Namespace: h.name, Target: t, Node: node, After: after, Limit: limit}
	err := h.query(ctx, q, func(r adapter.Reply) {
		if more, ok := r.(adapter.Sockets); ok {
			list = append(list, more...)
		}
	})
	// Servers without names answer with everything.
	list = slices.DeleteFunc(list, func(s adapter.SocketInfo) bool { return s.ID <= after })
	slices.SortFunc(list, func(a, b adapter.SocketInfo) int { return cmp.Compare(a.ID, b.ID) })
	return list[:min(limit, len(list))], err
}

// page describes members of this node.
func (h *Hub) page(t rooms.Target, after string, limit int) []adapter.SocketInfo {
	if h == nil {
		return nil
	}
	list := h.selected(t)
	defer done(list)
	members := slices.DeleteFunc(*list, func(m *Member) bool { return m.ID() <= after || !m.Value().Connected() })
	slices.SortFunc(members, func(a, b *Member) int { return cmp.Compare(a.ID(), b.ID()) })
	members = members[:min(limit, len(members))]
	page := make([]adapter.SocketInfo, len(members))
	for i, m := range members {
		page[i] = m.Value().Info()
		page[i].Rooms = h.index.Rooms(nil, m)
	}
	return page
}

// Perform carries out a Join, Leave or Disconnect on all nodes, and returns to how many members once every node has
// confirmed it: after a Join, when all later publishes to the rooms are certain to reach them. With an error, a
// MissingError among them, other nodes may still carry it out.
func (h *Hub) Perform(ctx context.Context, c adapter.Command) (members int, err error) {
	type outcome struct {
		members int
		err     error
	}
	here := make(chan outcome, 1)
	h.perform(c, func(members int, err error) { here <- outcome{members, err} })
	err = h.query(ctx, adapter.Perform{Command: c}, func(r adapter.Reply) {
		if counted, ok := r.(adapter.Counted); ok {
			members += counted.Sockets
		}
	})
	var own outcome
	select {
	case own = <-here:
	case <-ctx.Done():
		select {
		case own = <-here: // as well
		default:
			own.err = ctx.Err()
		}
	}
	return members + own.members, h.alsoMissing(err, own.err != nil)
}

// alsoMissing adds this node to those that err says are missing.
func (h *Hub) alsoMissing(err error, missing bool) error {
	if !missing {
		return err
	}
	var others *MissingError
	switch {
	case errors.As(err, &others):
		return &MissingError{Nodes: append([]string{h.NodeID()}, others.Nodes...)}
	case err == nil:
		return &MissingError{Nodes: []string{h.NodeID()}}
	}
	return err
}

// perform carries out a command on this node and calls done, which must not block, once it holds for certain.
func (h *Hub) perform(c adapter.Command, done func(members int, err error)) {
	switch c := c.(type) {
	case adapter.Join:
		joined, expected := h.performJoin(c)
		if len(joined) == 0 && !expected {
			done(0, nil)
			return
		}
		h.confirm(c.Rooms, joined, func(err error) { done(len(joined), err) })
	case adapter.Leave:
		left := h.performLeave(c)
		h.Stored(left, func(err error) { done(len(left), err) })
	default:
		done(h.Arrive(c, adapter.Arrival{}), nil)
	}
}

// performLeave has members leave rooms, and returns the ids of those that did, in one turn: a session that comes from another
// node meanwhile is either among them, and waited for, or comes with the command applied.
func (h *Hub) performLeave(leave adapter.Leave) (left []string) {
	if h.log != nil {
		h.log.Begin()
		defer h.log.End()
		if h.log.Moving() {
			noted, _ := Note(leave)
			h.log.Arrive(move.NoLane, false, noted)
		}
	}
	h.command(leave.Target, func(m *Member) {
		h.Leave(m, leave.Rooms)
		left = append(left, m.ID())
	})
	return left
}

// performJoin has members join rooms, and returns the ids of those that did. expected: a member on its way here may be another one.
func (h *Hub) performJoin(join adapter.Join) (joined []string, expected bool) {
	if h.log != nil {
		h.log.Begin()
		defer h.log.End()
		if expected = h.log.Moving(); expected {
			noted, _ := Note(join)
			h.log.Arrive(move.NoLane, false, noted)
			h.holdJoined(join.Rooms)
		}
	}
	h.command(join.Target, func(m *Member) {
		switch err := h.Join(m, join.Rooms); {
		case err == nil:
			joined = append(joined, m.ID())
		case errors.Is(err, ErrTooManyRooms):
			h.tally.Dropped(tally.Rooms)
		}
	})
	return joined, expected
}

// answerPerform answers a node that wants a command carried out. This node gives no answer while it is not certain.
func (h *Hub) answerPerform(c adapter.Command, reply func(adapter.Reply)) {
	if h == nil {
		reply(adapter.Counted{})
		return
	}
	h.perform(c, func(members int, err error) {
		if err == nil {
			reply(adapter.Counted{Sockets: members})
		}
	})
}

// Acks is what the recipients of a broadcast have answered.
type Acks struct {
	Answers    []packet.Args
	Recipients int // how many were asked, as far as their nodes have told
	Dropped    int // answers left out
}

// CollectAcks sends a broadcast and collects what the members of all nodes acknowledge it with, until all have or ctx
// ends, which has a deadline. Answers beyond most bytes are dropped. A MissingError names the nodes whose members have not
// all answered, this one included.
func (h *Hub) CollectAcks(ctx context.Context, b adapter.Broadcast, most int) (Acks, error) {
	acks, late, err := h.collectAcks(ctx, b, false, most)
	return acks, h.alsoMissing(err, late)
}

func (h *Hub) collectAcks(
	ctx context.Context, b adapter.Broadcast, local bool, most int,
) (acks Acks, late bool, err error) {
	deadline, _ := ctx.Deadline()
	question := adapter.BroadcastAsk{Broadcast: b, Timeout: time.Until(deadline)}
	var mu sync.Mutex // local and remote acknowledgements come from different goroutines
	held := 0
	collect := func(r adapter.Reply) {
		mu.Lock()
		defer mu.Unlock()
		switch r := r.(type) {
		case adapter.Acked:
			size := sizeOf(r.Args)
			if size > most-held {
				acks.Dropped++
				return
			}
			held += size
			acks.Answers = append(acks.Answers, r.Args)
		case adapter.Count:
			acks.Recipients += int(r)
		}
	}
	h.tally.Local.Inc()
	here := h.ask(&question.Broadcast, question.Timeout, collect)
	if !local {
		err = h.query(ctx, question, collect)
	}
	select {
	case <-here.over:
	case <-ctx.Done():
		h.rounds.expire(here, h.tally.Acks.Unanswered(ctx.Err()))
		<-here.over
	}
	return acks, here.late, err
}

// answerCost is about what an answer costs beside its bytes.
const answerCost = 64

func sizeOf(args packet.Args) int {
	size := answerCost + len(args.JSON)
	for _, a := range args.Attachments {
		size += len(a)
	}
	return size
}
