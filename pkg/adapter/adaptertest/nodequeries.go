package adaptertest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
)

// nameOf is the name of a node in its cluster. An adapter with other nodes has one.
func nameOf(t *testing.T, n *node) string {
	t.Helper()
	named, ok := n.Adapter.(interface{ NodeID() string })
	if !ok {
		t.Fatalf("%T has no NodeID", n.Adapter)
	}
	return named.NodeID()
}

func testCountSockets(t *testing.T, nodes []*node) {
	var want []string
	for i, n := range nodes[1:] {
		n.answers(func(_ adapter.Query, reply func(adapter.Reply)) { reply(adapter.Counted{Sockets: i * 7}) })
		want = append(want, showReply(adapter.Counted{Node: nameOf(t, n), Sockets: i * 7}))
	}
	for _, names := range [][]string{nil, {"red", "ä🎈"}} {
		q := adapter.CountSockets{Namespace: chatNsp, Rooms: names}
		expectReplies(t, ask(t, nodes[0], q), want...)
		for _, n := range nodes[1:] {
			asked := n.asked()
			if got := showQuery(asked[len(asked)-1]); got != showQuery(q) {
				t.Errorf("%s was asked: %s", n.name, got)
			}
		}
	}
}

// testListSockets asks one node; the others do not notice.
func testListSockets(t *testing.T, nodes []*node) {
	page := adapter.Sockets{{ID: "m", Handshake: []byte(`{}`), Rooms: []string{"red"}, Data: []byte(`{}`)}}
	for _, n := range nodes[1:] {
		n.answers(func(_ adapter.Query, reply func(adapter.Reply)) { reply(page) })
	}
	target := rooms.Target{Rooms: []string{"red"}, Except: []string{"x"}}
	q := adapter.ListSockets{Namespace: chatNsp, Target: target, Node: nameOf(t, nodes[2]), After: "k", Limit: 10}
	expectReplies(t, ask(t, nodes[0], q), showReply(page))
	expectAsked(t, nodes[2:], q)
	if asked := nodes[1].asked(); len(asked) > 0 {
		t.Errorf("a node was asked for the page of another: %#v", asked)
	}

	nobody := adapter.ListSockets{Namespace: chatNsp, Target: target, Limit: 10}
	for _, reply := range ask(t, nodes[0], nobody) {
		if reply != showReply(adapter.Sockets{}) {
			t.Errorf("a node with a name answered as one without: %s", reply)
		}
	}

	q.Node = "gone"
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	missing, err := nodes[0].Ask(ctx, q, func(r adapter.Reply) { t.Errorf("a node that is not there answered %v", r) })
	if err != nil || len(missing) != 1 || missing[0] != "gone" {
		t.Errorf("missing %q, %v", missing, err)
	}
}

func testPerform(t *testing.T, nodes []*node) {
	for _, c := range []adapter.Command{
		adapter.Join{Namespace: chatNsp, Target: to("a", "b"), Rooms: []string{"c", "ä🎈"}},
		adapter.Leave{Namespace: chatNsp, Target: to("a"), Rooms: []string{"c"}},
		adapter.Disconnect{Namespace: chatNsp, Close: true},
	} {
		q := adapter.Perform{Command: c}
		var want []string
		var performing sync.WaitGroup
		for i, n := range nodes[1:] {
			n.answers(func(_ adapter.Query, reply func(adapter.Reply)) {
				performing.Go(func() { reply(adapter.Counted{Sockets: i}) })
			})
			want = append(want, showReply(adapter.Counted{Node: nameOf(t, n), Sockets: i}))
		}
		expectReplies(t, ask(t, nodes[0], q), want...)
		performing.Wait()
		for _, n := range nodes[1:] {
			asked := n.asked()
			if got := showQuery(asked[len(asked)-1]); got != showQuery(q) {
				t.Errorf("%s: %s was asked %s", show(c), n.name, got)
			}
			if heard := n.heard(chatNsp); len(heard) > 0 {
				t.Errorf("%s was also given %s", n.name, fmt.Sprint(heard))
			}
		}
	}
}
