package socketio_test

import (
	"context"
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// handed is an adapter that hands its node out.
type handed struct {
	adapter.Local

	node chan adapter.Node
}

func (h handed) Run(ctx context.Context, node adapter.Node) error {
	h.node <- node
	return h.Local.Run(ctx, node)
}

func TestNode_TellsHowManySocketsACommandWasFor(t *testing.T) {
	h := handed{node: make(chan adapter.Node, 1)}
	nodes, urls := run(t, []socketio.Config{{Adapter: h}})
	node := receive(t, h.node)
	for range 2 {
		member(t, nodes[0], urls[0], "red")
	}
	member(t, nodes[0], urls[0], "blue")
	red, nobody := rooms.Target{Rooms: []string{"red"}}, rooms.Target{Rooms: []string{"green"}}
	args := packet.Args{JSON: []byte(`["hi"]`)}
	for _, c := range []struct {
		command adapter.Command
		want    int
	}{
		{adapter.Broadcast{Namespace: "/", Args: args}, 3},
		{adapter.Broadcast{Namespace: "/", Args: args, Target: red}, 2},
		{adapter.Broadcast{Namespace: "/", Args: args, Target: nobody}, 0},
		{adapter.Broadcast{Namespace: "/unknown", Args: args}, 0},
		{adapter.Join{Namespace: "/", Target: red, Rooms: []string{"x"}}, 2},
		{adapter.Leave{Namespace: "/", Target: red, Rooms: []string{"x"}}, 2},
		{adapter.ServerEmit{Namespace: "/", Args: args}, 0},
		{adapter.Disconnect{Namespace: "/", Target: red}, 2},
		{adapter.Disconnect{Namespace: "/", Target: red}, 0},
	} {
		if got := node.Deliver(c.command); got != c.want {
			t.Errorf("%#v was for %d sockets instead of %d", c.command, got, c.want)
		}
	}
}
