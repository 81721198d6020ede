package socketio_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio"
)

func TestAt_ReachesANamespaceThatIsOnlyElsewhere(t *testing.T) {
	overClusters(t, func(t *testing.T, start starter) {
		nodes, urls := start(socketio.Config{}, socketio.Config{})
		nodes[1].Of("/there").OnConnect(func(s *socketio.Socket) { _ = s.Join("r") })
		p := dial(t, urls[1])
		p.send("40/there,")
		p.read()
		there := nodes[0].At("/there")
		eventually(t, "the socket is counted", func() bool {
			list, err := there.To("r").CountSockets(t.Context())
			return err == nil && total(list) == 1
		})
		if n, err := there.ConfirmJoin(t.Context(), "s"); n != 1 || err != nil {
			t.Errorf("%d sockets joined, %v", n, err)
		}
		if err := there.To("s").Emit("hello"); err != nil {
			t.Fatal(err)
		}
		p.expect(`42/there,["hello"]`)
		if len(nodes[0].Namespaces()) != 1 {
			t.Error("the namespace was made here")
		}
	})
}

func total(list []socketio.NodeCount) (sockets int) {
	for _, n := range list {
		sockets += n.Sockets
	}
	return sockets
}

func TestCountSockets_ByNode(t *testing.T) {
	overClusters(t, func(t *testing.T, start starter) {
		nodes, urls := start(socketio.Config{}, socketio.Config{})
		member(t, nodes[0], urls[0], "a")
		member(t, nodes[1], urls[1], "a", "b")
		member(t, nodes[1], urls[1], "b")
		n := nodes[0].Of("/")
		for name, c := range map[string]struct {
			emitter     socketio.Emitter
			here, there int
		}{
			"everyone":  {n.Emitter, 1, 2},
			"two rooms": {n.To("a", "b"), 1, 2},
			"a room":    {n.To("a"), 1, 1},
			"nobody":    {n.To("c"), 0, 0},
		} {
			list, err := c.emitter.CountSockets(t.Context())
			if err != nil || len(list) != 2 || list[0].Sockets != c.here || list[1].Sockets != c.there || list[0].Node == list[1].Node {
				t.Errorf("%s: %v, %v", name, list, err)
			}
		}
		if list, err := n.To().CountSockets(t.Context()); list != nil || err != nil {
			t.Errorf("no room: %v, %v", list, err)
		}
		if _, err := n.Except("a").CountSockets(t.Context()); !errors.Is(err, socketio.ErrExcept) {
			t.Errorf("except: %v", err)
		}
	})
}

func TestListSockets_PagesByNode(t *testing.T) {
	overClusters(t, func(t *testing.T, start starter) {
		nodes, urls := start(socketio.Config{}, socketio.Config{})
		var want []string
		for i := range 5 {
			_, s := member(t, nodes[i%2], urls[i%2], "r")
			want = append(want, s.ID())
		}
		n := nodes[0].Of("/").To("r")
		counts, err := n.CountSockets(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range counts {
			for after := ""; ; {
				page, err := n.ListSockets(t.Context(), c.Node, after, 2)
				if err != nil || len(page) > 2 {
					t.Fatalf("%d sockets, %v", len(page), err)
				}
				if len(page) == 0 {
					break
				}
				for _, s := range page {
					if s.ID <= after || !slices.Contains(s.Rooms, "r") {
						t.Errorf("after %q: %s in %q", after, s.ID, s.Rooms)
					}
					after = s.ID
					got = append(got, s.ID)
				}
			}
		}
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			t.Errorf("listed %q, want %q", got, want)
		}
		var missing *socketio.MissingError
		if _, err := n.ListSockets(t.Context(), "gone", "", 2); !errors.As(err, &missing) || !slices.Equal(missing.Nodes, []string{"gone"}) {
			t.Errorf("a node that has left: %v", err)
		}
		if others, err := n.ListSockets(t.Context(), "", "", 9); len(others) > 0 || err != nil {
			t.Errorf("servers without names: %v, %v", others, err)
		}
	})
}

func TestConfirm_CountsTheSocketsOfAllNodes(t *testing.T) {
	overClusters(t, func(t *testing.T, start starter) {
		nodes, urls := start(socketio.Config{MaxRooms: 3}, socketio.Config{MaxRooms: 3})
		p0, s0 := member(t, nodes[0], urls[0], "r")
		p1, s1 := member(t, nodes[1], urls[1], "r")
		_, full := member(t, nodes[1], urls[1], "r", "2", "3")
		n := nodes[0].Of("/").To("r")
		if joined, err := n.ConfirmJoin(t.Context(), "new"); joined != 2 || err != nil {
			t.Errorf("%d sockets joined, %v", joined, err)
		}
		if !s0.In("new") || !s1.In("new") || full.In("new") {
			t.Error("confirmed, and not so")
		}
		// Certain: what another node publishes now arrives.
		if err := nodes[1].Of("/").To("new").Emit("hello"); err != nil {
			t.Fatal(err)
		}
		p0.expect(`42["hello"]`)
		p1.expect(`42["hello"]`)
		if left, err := n.ConfirmLeave(t.Context(), "new"); left != 3 || err != nil || s1.In("new") {
			t.Errorf("%d sockets left, %v", left, err)
		}
		if gone, err := n.ConfirmDisconnect(t.Context(), false); gone != 3 || err != nil {
			t.Errorf("%d sockets disconnected, %v", gone, err)
		}
		p0.expect("41")
		p1.expect("41")
		if gone, err := n.ConfirmDisconnect(t.Context(), false); gone != 0 || err != nil {
			t.Errorf("%d sockets disconnected again, %v", gone, err)
		}
	})
}

func TestConfirm_NamesNodesThatDoNot(t *testing.T) {
	nodes, urls, cluster := memoryCluster(t, socketio.Config{}, socketio.Config{})
	member(t, nodes[0], urls[0], "r")
	cluster.Adapter(1).Pause()
	defer cluster.Adapter(1).Resume()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var missing *socketio.MissingError
	joined, err := nodes[0].Of("/").To("r").ConfirmJoin(ctx, "new")
	if joined != 1 || !errors.As(err, &missing) || !slices.Equal(missing.Nodes, []string{"node-1"}) {
		t.Errorf("%d sockets joined, %v", joined, err)
	}
}

func TestCollectAcks_TellsHowManyWereAskedAndWhoIsMissing(t *testing.T) {
	t.Parallel()
	overClusters(t, func(t *testing.T, start starter) {
		nodes, urls := start(socketio.Config{}, socketio.Config{})
		p0, _ := member(t, nodes[0], urls[0], "r")
		p1, _ := member(t, nodes[1], urls[1], "r")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		type result struct {
			acks socketio.Acks
			err  error
		}
		results := make(chan result, 1)
		go func() {
			acks, err := nodes[0].Of("/").To("r").CollectAcks(ctx, socketio.Args{JSON: []byte(`["q",1]`)}, 1000)
			results <- result{acks, err}
		}()
		p1.expect(`420["q",1]`)
		p1.send(`430["yes"]`)
		p0.expect(`420["q",1]`)
		r := receive(t, results)
		var missing *socketio.MissingError
		if len(r.acks.Answers) != 1 || r.acks.Recipients != 2 || !errors.As(r.err, &missing) || len(missing.Nodes) != 1 {
			t.Errorf("%d answers of %d, %v", len(r.acks.Answers), r.acks.Recipients, r.err)
		}
	})
}
