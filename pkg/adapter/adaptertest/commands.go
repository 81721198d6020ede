package adaptertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// heldRooms are the rooms that commandsIn addresses.
var heldRooms = []string{"red", "green", "blue"}

// commandsIn returns one command of each kind and shape.
func commandsIn(nsp string) []adapter.Command {
	args := func(json string, attachments ...[]byte) packet.Args {
		return packet.Args{JSON: []byte(json), Attachments: attachments}
	}
	long := fmt.Sprintf(`["long",%q]`, strings.Repeat("seventy thousand ", 70_000/17))
	values := `["values",1,-1,1.5,4294967296,null,true,"","€ 🎈 \u0000\\\"",{"a":[{"b":{}}]},[]]`
	but := rooms.Target{Rooms: []string{"red", "blue"}, Except: []string{"green", "x"}}
	return []adapter.Command{
		adapter.Broadcast{Namespace: nsp, Args: args(`["bare"]`)},
		adapter.Broadcast{Namespace: nsp, Args: args(values)},
		adapter.Broadcast{Namespace: nsp, Args: args(long)},
		adapter.Broadcast{Namespace: nsp, Args: args(`["one room"]`), Target: to("red")},
		adapter.Broadcast{Namespace: nsp, Args: args(`["several rooms"]`), Target: to("red", "elsewhere", "blue")},
		adapter.Broadcast{Namespace: nsp, Args: args(`["but"]`), Target: but},
		adapter.Broadcast{Namespace: nsp, Args: args(`["all but"]`), Target: rooms.Target{Except: []string{"green"}}},
		adapter.Broadcast{Namespace: nsp, Args: args(`["volatile"]`), Volatile: true},
		adapter.Broadcast{Namespace: nsp, Args: args(`["uncompressed"]`), Target: to("green"), NoCompress: true},
		adapter.Broadcast{
			Namespace: nsp,
			Args: args(`["binary",{"_placeholder":true,"num":0},{"deep":[{"_placeholder":true,"num":1}]}]`,
				[]byte{0, 1, 2, 0xff}, []byte{}),
			Target: to("red"),
		},
		adapter.Join{Namespace: nsp, Target: to("red"), Rooms: []string{"new", "newer"}},
		adapter.Join{Namespace: nsp, Rooms: []string{"for everyone"}},
		adapter.Leave{Namespace: nsp, Target: but, Rooms: []string{"new"}},
		adapter.Disconnect{Namespace: nsp, Target: to("unheld"), Close: true},
		adapter.Disconnect{Namespace: nsp, Target: rooms.Target{Except: []string{"red"}}},
		adapter.ServerEmit{Namespace: nsp, Args: args(`["server event",1,{"a":"b"}]`)},
	}
}

func showAll(commands []adapter.Command) []string {
	var s []string
	for _, c := range commands {
		s = append(s, show(c))
	}
	return s
}

// expect compares what a node heard with what it should have, once everything has arrived, which it waits for where
// nothing else told.
func expect(t *testing.T, n *node, nsp string, want []string) {
	t.Helper()
	got := n.heard(nsp)
	if n.perTarget {
		for _, c := range want {
			n.await(t, nsp, c)
		}
		got, want = byTarget(n.heard(nsp)), byTarget(want)
	}
	if slices.Equal(got, want) {
		return
	}
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			t.Fatalf("%s in %s heard %d commands of %d; the next is %.200s", n.name, nsp, len(got), len(want), want[i])
		case i >= len(want):
			t.Fatalf("%s in %s heard %d commands, not %d; the first extra is %.200s", n.name, nsp, len(got), len(want), got[i])
		case got[i] != want[i]:
			t.Fatalf("%s in %s, command %d:\n got %.200s\nwant %.200s", n.name, nsp, i, got[i], want[i])
		}
	}
}

// byTarget puts commands for a single room behind all others, room by room.
func byTarget(commands []string) []string {
	sorted := slices.Clone(commands)
	slices.SortStableFunc(sorted, func(a, b string) int { return strings.Compare(singleRoom(a), singleRoom(b)) })
	return sorted
}

// singleRoom is the one room that a broadcast, as show tells it, is for; empty for all other commands.
func singleRoom(command string) string {
	start, end := strings.LastIndex(command, " to ["), strings.LastIndex(command, "] except [")
	if !strings.HasPrefix(command, "broadcast ") || start < 0 || end < start {
		return ""
	}
	if names := command[start+len(" to [") : end]; !strings.Contains(names, `" "`) {
		return names
	}
	return ""
}

func testAlonePublish(t *testing.T, nodes []*node) {
	n := nodes[0]
	n.join(t, mainNsp, heldRooms...)
	for _, c := range commandsIn(mainNsp) {
		n.mustPublish(t, c)
		n.Publish(c, nil)
	}
	var want []string
	if n.Echoes() {
		for _, c := range echoed(commandsIn(mainNsp)) {
			want = append(want, show(c), show(c))
		}
		n.awaitCommands(t, len(want))
	}
	n.join(t, mainNsp, "what came back is here by now, where confirmations travel with messages")
	if err := n.end(); err != nil {
		t.Fatal(err)
	}
	expect(t, n, mainNsp, want)
}

func testAloneConfirm(t *testing.T, nodes []*node) {
	nodes[0].join(t, mainNsp, "one")
	nodes[0].join(t, mainNsp, "one", "two")
}

func testAloneAsk(t *testing.T, nodes []*node) {
	for _, q := range queries() {
		missing, err := nodes[0].Ask(context.Background(), q, func(r adapter.Reply) { t.Errorf("%T answered by %#v", q, r) })
		if err != nil || len(missing) > 0 {
			t.Errorf("%T: missing %q, %v", q, missing, err)
		}
	}
	if asked := nodes[0].asked(); len(asked) > 0 {
		t.Errorf("the node was asked its own question: %#v", asked)
	}
}

func testCommandsIntact(t *testing.T, nodes []*node) {
	for _, nsp := range []string{mainNsp, chatNsp} {
		commands := commandsIn(nsp)
		for _, n := range nodes[1:] {
			n.join(t, nsp, heldRooms...)
		}
		for _, c := range commands {
			nodes[0].mustPublish(t, c)
		}
		for _, n := range nodes[1:] {
			n.await(t, nsp, show(commands[len(commands)-1]))
			expect(t, n, nsp, showAll(commands))
		}
	}
	for _, n := range nodes[1:] {
		if n.untimed > 0 {
			t.Errorf("%s: %d broadcasts do not say when they were received", n.name, n.untimed)
		}
	}
}

// testOrder mixes kinds and targets, which travel on different ways where there are several.
func testOrder(t *testing.T, nodes []*node) {
	const rounds = 60
	for _, n := range nodes[1:] {
		n.join(t, mainNsp, heldRooms...)
	}
	var want []string
	for i := range rounds {
		for _, c := range []adapter.Command{
			adapter.Join{Namespace: mainNsp, Target: to("red"), Rooms: []string{fmt.Sprint("room ", i)}},
			adapter.Broadcast{Namespace: mainNsp, Args: event("room", i), Target: to("red")},
			adapter.Broadcast{Namespace: mainNsp, Args: event("all", i)},
			adapter.ServerEmit{Namespace: mainNsp, Args: event("server", i)},
			adapter.Broadcast{Namespace: mainNsp, Args: event("rooms", i), Target: to("green", "blue")},
		} {
			nodes[0].publish(c)
			want = append(want, show(c))
		}
	}
	for _, n := range nodes[1:] {
		n.await(t, mainNsp, want[len(want)-1])
		expect(t, n, mainNsp, want)
	}
}

func testNamespaces(t *testing.T, nodes []*node) {
	const closed = "/only-here"
	nodes[0].Open(closed)
	nodes[1].join(t, mainNsp, "red")
	nodes[1].join(t, chatNsp, "red")
	one := adapter.Broadcast{Namespace: mainNsp, Args: event("main", 1), Target: to("red")}
	two := adapter.Broadcast{Namespace: chatNsp, Args: event("chat", 2), Target: to("red")}
	three := adapter.Broadcast{Namespace: closed, Args: event("closed", 3)}
	for _, c := range []adapter.Command{three, one, two} {
		nodes[0].mustPublish(t, c)
	}
	flush(t, nodes)
	nodes[1].await(t, chatNsp, show(two))
	expect(t, nodes[1], mainNsp, []string{show(one)})
	expect(t, nodes[1], chatNsp, []string{show(two)})
	expect(t, nodes[1], closed, nil)
}

// testRoomNames uses names that mean something to a broker or to a pattern.
func testRoomNames(t *testing.T, nodes []*node) {
	names := []string{
		"*", "?", "[a]", `\`, "a#b", "#", "a b", "/", "ä🎈", "42", "0", "a", "ab", "AAAAAAAAAAAAAAAAAAAA",
		strings.Repeat("long", 60), "new\nline", "{tag}",
	}
	nodes[1].join(t, mainNsp, names...)
	nodes[2].join(t, mainNsp, "*")
	var want, wantStar []string
	for i, name := range names {
		c := adapter.Broadcast{Namespace: mainNsp, Args: event("room", i), Target: to(name)}
		nodes[0].mustPublish(t, c)
		want = append(want, show(c))
		if name == "*" {
			wantStar = append(wantStar, show(c))
		}
	}
	flush(t, nodes)
	expect(t, nodes[1], mainNsp, want)
	// A node may hear rooms it does not hold, as long as it hears its own.
	if heard := nodes[2].heard(mainNsp); !slices.Contains(heard, wantStar[0]) {
		t.Errorf("%s did not hear room *, only %q", nodes[2].name, heard)
	}
}

func testSeveralRooms(t *testing.T, nodes []*node) {
	nodes[1].join(t, mainNsp, "red", "blue")
	nodes[2].join(t, mainNsp, "blue")
	both := adapter.Broadcast{Namespace: mainNsp, Args: event("both", 1), Target: to("red", "blue")}
	same := adapter.Broadcast{Namespace: mainNsp, Args: event("same", 2)}
	same.Target = rooms.Target{Rooms: []string{"blue"}, Except: []string{"blue"}}
	nodes[0].mustPublish(t, both)
	nodes[0].mustPublish(t, same)
	flush(t, nodes)
	expect(t, nodes[1], mainNsp, showAll([]adapter.Command{both, same}))
	expect(t, nodes[2], mainNsp, showAll([]adapter.Command{both, same}))
}

func testManyPublishers(t *testing.T, nodes []*node) {
	const publishers, each = 8, 50
	nodes[2].join(t, mainNsp, "red")
	command := func(p, i int) adapter.Broadcast {
		return adapter.Broadcast{Namespace: mainNsp, Args: event(fmt.Sprint("p", p), i), Target: to("red")}
	}
	var wg sync.WaitGroup
	for p := range publishers {
		wg.Go(func() {
			for i := range each {
				nodes[p%2].publish(command(p, i))
			}
		})
	}
	wg.Wait()
	nodes[2].awaitCommands(t, publishers*each)
	heard := nodes[2].heard(mainNsp)
	for p := range publishers {
		var want, got []string
		for i := range each {
			want = append(want, show(command(p, i)))
		}
		for _, c := range heard {
			if strings.Contains(c, fmt.Sprintf(`["p%d",`, p)) {
				got = append(got, c)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("of publisher %d came %d of %d, or out of order", p, len(got), len(want))
		}
	}
}
