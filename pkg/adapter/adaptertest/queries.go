package adaptertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// queries returns one query of each kind.
func queries() []adapter.Query {
	return []adapter.Query{
		adapter.FetchSockets{Namespace: mainNsp},
		adapter.CountSockets{Namespace: mainNsp},
		adapter.ListSockets{Namespace: mainNsp, Limit: 1},
		adapter.Perform{Command: adapter.Leave{Namespace: mainNsp, Target: to("a"), Rooms: []string{"b"}}},
		adapter.AllRooms{Namespace: mainNsp},
		adapter.ServerAsk{Namespace: mainNsp, Args: event("ask", 1)},
		adapter.BroadcastAsk{Broadcast: adapter.Broadcast{Namespace: mainNsp, Args: event("ask", 1)}, Timeout: time.Minute},
	}
}

// ask puts a question that everybody answers, and returns what they said, as showReply tells it, in order of arrival.
func ask(t *testing.T, n *node, q adapter.Query) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	var replies []string // only Ask's calls touch it, one at a time, and they are over when it returns
	missing, err := n.Ask(ctx, q, func(r adapter.Reply) { replies = append(replies, showReply(r)) })
	if err != nil || len(missing) > 0 || ctx.Err() != nil {
		t.Fatalf("%T: missing %q, %v; replies %q", q, missing, err, replies)
	}
	if asked := n.asked(); len(asked) > 0 {
		t.Errorf("%s was asked its own question: %#v", n.name, asked)
	}
	return replies
}

func showReply(r adapter.Reply) string {
	switch r := r.(type) {
	case adapter.Sockets:
		s := "sockets"
		for _, i := range r {
			s += fmt.Sprintf(" {%s %s %q %s}", i.ID, canonical(i.Handshake), sorted(i.Rooms), canonical(i.Data))
		}
		return s
	case adapter.Counted:
		return fmt.Sprintf("%d sockets on %s", r.Sockets, r.Node)
	case adapter.RoomNames:
		return fmt.Sprintf("rooms %q", sorted(r))
	case adapter.Count:
		return fmt.Sprintf("count %d", r)
	case adapter.Acked:
		if r.Args.Len() == 0 {
			return "acked []"
		}
		return "acked " + showArgs(r.Args)
	}
	return fmt.Sprintf("unknown reply %T", r)
}

// showQuery writes a query as show writes a command.
func showQuery(q adapter.Query) string {
	switch q := q.(type) {
	case adapter.FetchSockets:
		return fmt.Sprintf("fetch %s %s", q.Namespace, showTarget(q.Target))
	case adapter.CountSockets:
		return fmt.Sprintf("count %s %q", q.Namespace, sorted(q.Rooms))
	case adapter.ListSockets:
		return fmt.Sprintf("list %s %s of %q: %d after %q", q.Namespace, showTarget(q.Target), q.Node, q.Limit, q.After)
	case adapter.Perform:
		return fmt.Sprintf("perform %s %s", adapter.NamespaceOf(q.Command), show(q.Command))
	case adapter.AllRooms:
		return fmt.Sprintf("all rooms %s", q.Namespace)
	case adapter.ServerAsk:
		return fmt.Sprintf("server ask %s %s", q.Namespace, showArgs(q.Args))
	case adapter.BroadcastAsk:
		return fmt.Sprintf("%s %s for %s", q.Broadcast.Namespace, show(q.Broadcast), q.Timeout)
	}
	return fmt.Sprintf("unknown query %T", q)
}

// expectAsked sees that each of nodes was asked q and nothing else.
func expectAsked(t *testing.T, nodes []*node, q adapter.Query) {
	t.Helper()
	for _, n := range nodes {
		asked := n.asked()
		if len(asked) != 1 || showQuery(asked[0]) != showQuery(q) {
			t.Errorf("%s was asked %#v instead of %#v", n.name, asked, q)
		}
	}
}

func expectReplies(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(sorted(got), sorted(want)) {
		t.Errorf("replies:\n got %q\nwant %q", sorted(got), sorted(want))
	}
}

func testFetchSockets(t *testing.T, nodes []*node) {
	var want []string
	for i, n := range nodes[1:] {
		s := adapter.Sockets{}
		for k := range i * 2 { // the first answers with none
			s = append(s, adapter.SocketInfo{
				ID:        fmt.Sprintf("socket-%d-%d", i, k),
				Handshake: []byte(`{"address":"::1","query":{"EIO":"4"},"issued":1700000000123,"secure":false}`),
				Rooms:     []string{"red", "ä🎈"},
				Data:      []byte(`{"user":{"name":"Ada","tags":[1,null]}}`),
			})
		}
		want = append(want, showReply(s))
		n.answers(func(_ adapter.Query, reply func(adapter.Reply)) { reply(s) })
	}
	target := rooms.Target{Rooms: []string{"red", "blue"}, Except: []string{"x"}}
	q := adapter.FetchSockets{Namespace: chatNsp, Target: target}
	expectReplies(t, ask(t, nodes[0], q), want...)
	expectAsked(t, nodes[1:], q)
}

func testAllRooms(t *testing.T, nodes []*node) {
	nodes[1].answers(func(_ adapter.Query, reply func(adapter.Reply)) { reply(adapter.RoomNames{"a", "b#*"}) })
	nodes[2].answers(func(_ adapter.Query, reply func(adapter.Reply)) { reply(adapter.RoomNames{}) })
	q := adapter.AllRooms{Namespace: mainNsp}
	expectReplies(t, ask(t, nodes[0], q), `rooms ["a" "b#*"]`, `rooms []`)
	expectAsked(t, nodes[1:], q)
}

func testServerAsk(t *testing.T, nodes []*node) {
	answered := adapter.Acked{Args: packet.Args{JSON: []byte(`[{"late":[1,"x"]}]`)}}
	later := make(chan func(adapter.Reply), 1)
	var answering sync.WaitGroup
	defer answering.Wait()
	nodes[1].answers(func(_ adapter.Query, reply func(adapter.Reply)) { later <- reply })
	nodes[2].answers(func(_ adapter.Query, reply func(adapter.Reply)) {
		reply(adapter.Acked{Args: packet.Args{JSON: []byte(`[1]`)}})
		answering.Go(func() { (<-later)(answered) })
	})
	q := adapter.ServerAsk{Namespace: mainNsp, Args: packet.Args{JSON: []byte(`["question",{"a":1},"b"]`)}}
	expectReplies(t, ask(t, nodes[0], q), showReply(answered), `acked [1] []`)
	expectAsked(t, nodes[1:], q)
}

// testServerAskUnhandled has servers above the adapters that say at once that they do not handle the event.
func testServerAskUnhandled(t *testing.T, nodes []*node) {
	for _, n := range nodes[1:] {
		n.answers(func(_ adapter.Query, reply func(adapter.Reply)) { reply(adapter.Acked{}) })
	}
	q := adapter.ServerAsk{Namespace: mainNsp, Args: event("unheard of", 1)}
	expectReplies(t, ask(t, nodes[0], q), "acked []", "acked []")
}

func testBroadcastAsk(t *testing.T, nodes []*node) {
	binary := packet.Args{JSON: []byte(`[{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{0, 0xff}}}
	var clients sync.WaitGroup
	nodes[1].answers(func(_ adapter.Query, reply func(adapter.Reply)) {
		reply(adapter.Count(2))
		for i := range 2 {
			clients.Go(func() { reply(adapter.Acked{Args: packet.Args{JSON: fmt.Appendf(nil, `["client %d"]`, i)}}) })
		}
	})
	nodes[2].answers(func(_ adapter.Query, reply func(adapter.Reply)) {
		reply(adapter.Count(1))
		clients.Go(func() { reply(adapter.Acked{Args: binary}) })
	})
	q := adapter.BroadcastAsk{
		Broadcast: adapter.Broadcast{
			Namespace: chatNsp,
			Args:      packet.Args{JSON: []byte(`["q",{"_placeholder":true,"num":0}]`), Attachments: [][]byte{{1, 2, 3}}},
			Target:    rooms.Target{Except: []string{"x"}},
		},
		Timeout: time.Minute,
	}
	replies := ask(t, nodes[0], q)
	clients.Wait()
	expectReplies(t, replies, "count 2", "count 1",
		`acked ["client 0"] []`, `acked ["client 1"] []`, showReply(adapter.Acked{Args: binary}))
	if slices.Index(replies, "count 2") > slices.Index(replies, `acked ["client 0"] []`) {
		t.Errorf("an acknowledgement came before its node's count: %q", replies)
	}
	expectAsked(t, nodes[1:], q)
}

func testBroadcastAskNobody(t *testing.T, nodes []*node) {
	for _, n := range nodes[1:] {
		n.answers(func(_ adapter.Query, reply func(adapter.Reply)) { reply(adapter.Count(0)) })
	}
	q := adapter.BroadcastAsk{Broadcast: adapter.Broadcast{Namespace: mainNsp, Args: event("q", 1)}, Timeout: time.Minute}
	expectReplies(t, ask(t, nodes[0], q), "count 0", "count 0")
}

func testBroadcastAskTimeout(t *testing.T, nodes []*node) {
	nodes[1].answers(func(_ adapter.Query, reply func(adapter.Reply)) { reply(adapter.Count(0)) })
	nodes[2].answers(func(_ adapter.Query, reply func(adapter.Reply)) {
		reply(adapter.Count(2))
		reply(adapter.Acked{Args: packet.Args{JSON: []byte(`[1]`)}})
	})
	q := adapter.BroadcastAsk{
		Broadcast: adapter.Broadcast{Namespace: mainNsp, Args: event("q", 1)},
		Timeout:   2 * time.Second,
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	var replies []string
	missing, err := nodes[0].Ask(ctx, q, func(r adapter.Reply) { replies = append(replies, showReply(r)) })
	if err != nil || len(missing) != 1 || ctx.Err() != nil {
		t.Errorf("missing %q, %v", missing, err)
	}
	expectReplies(t, replies, "count 0", "count 2", "acked [1] []")
}

func testAskMissing(t *testing.T, nodes []*node) {
	silent := make(chan func(adapter.Reply), 1)
	nodes[1].answers(func(_ adapter.Query, reply func(adapter.Reply)) { reply(adapter.RoomNames{"here"}) })
	nodes[2].answers(func(_ adapter.Query, reply func(adapter.Reply)) { silent <- reply })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var late func(adapter.Reply)
	var replies []string
	missing, err := nodes[0].Ask(ctx, adapter.AllRooms{Namespace: mainNsp}, func(r adapter.Reply) {
		replies = append(replies, showReply(r))
		late = <-silent // now both were asked
		cancel()
	})
	if err != nil || len(missing) != 1 || missing[0] == "" {
		t.Errorf("missing %q, %v", missing, err)
	}
	late(adapter.RoomNames{"too late"}) // a call of Ask's reply now is a data race on replies
	flush(t, nodes)
	expectReplies(t, replies, `rooms ["here"]`)
}

func testAskConcurrent(t *testing.T, nodes []*node) {
	for i, n := range nodes {
		n.answers(func(q adapter.Query, reply func(adapter.Reply)) {
			id := fmt.Sprint(i, q.(adapter.FetchSockets).Target.Rooms)
			reply(adapter.Sockets{{ID: id, Handshake: []byte(`{}`), Data: []byte(`{}`)}})
		})
	}
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			asker := i % len(nodes)
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			var ids []string
			q := adapter.FetchSockets{Namespace: mainNsp, Target: to(fmt.Sprint("room-", i))}
			missing, err := nodes[asker].Ask(ctx, q, func(r adapter.Reply) {
				if s, ok := r.(adapter.Sockets); ok && len(s) == 1 {
					ids = append(ids, s[0].ID)
				}
			})
			var want []string
			for k := range nodes {
				if k != asker {
					want = append(want, fmt.Sprint(k, q.Target.Rooms))
				}
			}
			if err != nil || len(missing) > 0 || !slices.Equal(sorted(ids), want) {
				t.Errorf("question %d: %q instead of %q; missing %q, %v", i, ids, want, missing, err)
			}
		})
	}
	wg.Wait()
}
