package socketio

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// askTimeout is how long a broadcast waits for acknowledgements where ctx sets no limit.
const askTimeout = 5 * time.Second

// MissingError names the nodes whose answers are missing from a result that holds everybody else's.
type MissingError struct{ Nodes []string }

// Error names the nodes.
func (e *MissingError) Error() string {
	return "socketio: no answer from " + strings.Join(e.Nodes, ", ")
}

// FetchSockets lists the addressed sockets of all nodes. With an error, a MissingError among them, the list holds what
// is known.
func (e Emitter) FetchSockets(ctx context.Context) ([]adapter.SocketInfo, error) {
	if e.nobody {
		return nil, nil
	}
	list := e.nsp.describe(e.target)
	if e.local {
		return list, nil
	}
	err := e.nsp.query(ctx, adapter.FetchSockets{Namespace: e.nsp.name, Target: e.target}, func(r adapter.Reply) {
		if more, ok := r.(adapter.Sockets); ok {
			list = append(list, more...)
		}
	})
	return list, err
}

// LocalSockets lists the addressed sockets of this node.
func (e Emitter) LocalSockets() []*Socket {
	var list []*Socket
	if !e.nobody {
		e.nsp.each(e.target, func(s *Socket) { list = append(list, s) })
	}
	return list
}

// AllRooms lists the rooms of all nodes, each once, sockets' own rooms included. With an error, a MissingError among
// them, the list holds what is known.
func (n *Namespace) AllRooms(ctx context.Context) ([]string, error) {
	names := n.index.AllRooms(nil)
	err := n.query(ctx, adapter.AllRooms{Namespace: n.name}, func(r adapter.Reply) {
		if more, ok := r.(adapter.RoomNames); ok {
			names = append(names, more...)
		}
	})
	slices.Sort(names)
	return slices.Compact(names), err
}

// EmitWithAck sends the event and collects what the clients acknowledge it with, in the order it comes in, until all
// have or ctx ends; without a limit in ctx, five seconds. With an error the answers are what came in until then: ctx's
// when clients did not answer in time, a MissingError when nodes did not.
func (e Emitter) EmitWithAck(ctx context.Context, event string, args ...any) ([]packet.Args, error) {
	list, err := encodeEvent(event, args)
	if err != nil || e.nobody {
		return nil, err
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(askTimeout)
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	ask := adapter.BroadcastAsk{Broadcast: e.broadcast(list), Timeout: time.Until(deadline)}

	var mu sync.Mutex // local and remote acknowledgements come from different goroutines
	var answers []packet.Args
	collect := func(r adapter.Reply) {
		if acked, ok := r.(adapter.Acked); ok {
			mu.Lock()
			defer mu.Unlock()
			answers = append(answers, acked.Args)
		}
	}
	e.nsp.io.metrics.local.Inc()
	here := e.nsp.ask(&ask.Broadcast, ask.Timeout, collect)
	if !e.local {
		err = e.nsp.query(ctx, ask, collect)
	}
	select {
	case <-here.over:
	case <-ctx.Done():
		e.nsp.rounds.expire(here, e.nsp.io.metrics.unanswered(ctx.Err()))
		<-here.over
	}
	if here.late && err == nil {
		cause := ctx.Err()
		if cause == nil {
			cause = context.DeadlineExceeded // the round's own timer was a little faster
		}
		err = fmt.Errorf("socketio: wait for acknowledgements of %q: %w", event, cause)
	}
	mu.Lock()
	defer mu.Unlock()
	return answers, err
}

// ServerEmitWithAck is ServerEmit, and collects what the other servers answer: one list for each that did, empty from
// one that does not handle the event.
func (n *Namespace) ServerEmitWithAck(ctx context.Context, event string, args ...any) ([]packet.Args, error) {
	list, err := encodeEvent(event, args)
	if err != nil {
		return nil, err
	}
	var answers []packet.Args
	err = n.query(ctx, adapter.ServerAsk{Namespace: n.name, Args: list}, func(r adapter.Reply) {
		if acked, ok := r.(adapter.Acked); ok {
			answers = append(answers, acked.Args)
		}
	})
	return answers, err
}

// query asks the other nodes.
func (n *Namespace) query(ctx context.Context, q adapter.Query, reply func(adapter.Reply)) error {
	missing, err := n.io.adapter.Ask(ctx, q, reply)
	if err != nil {
		return fmt.Errorf("socketio: ask the cluster: %w", err)
	}
	if len(missing) > 0 {
		return &MissingError{Nodes: missing}
	}
	return nil
}
