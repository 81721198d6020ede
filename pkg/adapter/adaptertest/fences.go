package adaptertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// fenceCases are for adapters with an adapter.Fencer.
var fenceCases = []testCase{
	{"Fence_CutsAtTheSamePlaceOnEveryNode", 3, testFenceCuts},
	{"Fence_ComesBehindWhatWasPublishedBefore", 3, testFencePlace},
	{"Fence_ComesInTheLanesThatWereConfirmed", 3, testFenceLanes},
	{"Fence_ComesToWhatFollowsOnly", 3, testFenceUnfollowed},
	{"Fence_EndsInErrAwayAfterRun", 3, testFenceAway},
	{"Follow_OwnCommandsComeAtThePlaceOfTheirEcho", 3, testFollowOwn},
	{"Follow_OwnCommandsComeOnlyMeanwhile", 3, testFollowEnds},
	{"Follow_BeginsBehindWhatIsBeingDelivered", 3, testFollowBegins},
	{"Rooms_AnIdOfAnotherNodeIsARoomLikeAny", 3, testForeignID},
}

func (n *node) fencer(t *testing.T) adapter.Fencer {
	t.Helper()
	f := adapter.FencerOf(n.Adapter)
	if f == nil {
		t.Fatalf("%s has no Fencer", n.name)
	}
	return f
}

// follow has nodes follow the main namespace until the test ends.
func follow(t *testing.T, nodes []*node) {
	t.Helper()
	for _, n := range nodes {
		t.Cleanup(n.fencer(t).Follow(mainNsp))
	}
}

// confirmLanes is join that returns the lanes.
func (n *node) confirmLanes(t *testing.T, rooms ...string) []adapter.Lane {
	t.Helper()
	n.hold(mainNsp, true, rooms...)
	n.Touch(mainNsp, rooms...)
	o := n.newOutcome()
	var lanes []adapter.Lane
	n.fencer(t).ConfirmLanes(mainNsp, rooms, func(l []adapter.Lane, err error) {
		lanes = l
		o.done(err)
	})
	if err := o.wait(t); err != nil {
		t.Fatalf("%s: ConfirmLanes %q: %v", n.name, rooms, err)
	}
	if len(lanes) == 0 || slices.Contains(lanes, 0) {
		t.Fatalf("%s: lanes %v", n.name, lanes)
	}
	return lanes
}

// fence publishes a fence without waiting for it.
func (n *node) fence(t *testing.T, rooms ...string) (adapter.Fence, []adapter.Lane, *outcome) {
	t.Helper()
	o := n.newOutcome()
	f, lanes := n.fencer(t).Fence(mainNsp, rooms, o.done)
	return f, lanes, o
}

func (n *node) mustFence(t *testing.T, rooms ...string) adapter.Fence {
	t.Helper()
	f, _, o := n.fence(t, rooms...)
	if err := o.wait(t); err != nil {
		t.Fatalf("%s: Fence: %v", n.name, err)
	}
	return f
}

// awaitFence waits until a fence has come in all lanes, which the node has confirmed.
func (n *node) awaitFence(t *testing.T, f adapter.Fence, lanes []adapter.Lane) {
	t.Helper()
	n.awaitThat(t, fmt.Sprintf("%s: fence %v in lanes %v", n.name, f, lanes), func() bool {
		return !slices.ContainsFunc(lanes, func(l adapter.Lane) bool {
			return !slices.Contains(n.trail, step{nsp: mainNsp, lane: l, fence: f})
		})
	})
}

// before are the commands that came before a fence, each judged in its lane, in order.
func before(trail []step, f adapter.Fence) []string {
	cut := make(map[adapter.Lane]bool)
	var commands []string
	for _, s := range trail {
		switch {
		case s.fence == f:
			cut[s.lane] = true
		case s.command != "" && !cut[s.lane]:
			commands = append(commands, s.command)
		}
	}
	return commands
}

// testFenceCuts has all nodes publish at once while fences go out, and compares what came before each of them at every node.
func testFenceCuts(t *testing.T, nodes []*node) {
	const each, fences = 300, 10
	follow(t, nodes)
	lanes := make([][]adapter.Lane, len(nodes))
	for i, n := range nodes {
		lanes[i] = n.confirmLanes(t, heldRooms...)
	}
	targets := [][]string{nil, {"red"}, {"green"}, {"red", "blue"}}
	var wg sync.WaitGroup
	for p, n := range nodes {
		wg.Go(func() {
			for i := range each {
				n.publish(adapter.Broadcast{
					Namespace: mainNsp, Args: event(fmt.Sprint("p", p), i), Target: to(targets[i%len(targets)]...),
				})
			}
		})
	}
	var cuts []adapter.Fence
	for i := range fences {
		n := nodes[i%len(nodes)]
		cuts = append(cuts, n.mustFence(t, heldRooms...))
	}
	wg.Wait()
	cuts = append(cuts, nodes[0].mustFence(t, heldRooms...))
	for k, f := range cuts {
		var want []string
		for i, n := range nodes {
			n.awaitFence(t, f, lanes[i])
			got := slices.Sorted(slices.Values(before(n.followed(mainNsp), f)))
			if i == 0 {
				want = got
			} else if !slices.Equal(got, want) {
				t.Errorf("fence %d of %d: %d commands came before it at %s, %d at %s", k, len(cuts), len(got), n.name, len(want), nodes[0].name)
			}
		}
	}
}

// testFencePlace: the fence has its place in the publisher's queue.
func testFencePlace(t *testing.T, nodes []*node) {
	follow(t, nodes)
	lanes := make([][]adapter.Lane, len(nodes))
	for i, n := range nodes {
		lanes[i] = n.confirmLanes(t, heldRooms...)
	}
	var want []string
	for i := range 100 {
		c := adapter.Broadcast{Namespace: mainNsp, Args: event("before", i), Target: to(heldRooms[i%len(heldRooms)])}
		nodes[0].publish(c)
		want = append(want, show(c))
	}
	f, back, outcome := nodes[0].fence(t, heldRooms...)
	for i := range 100 {
		nodes[0].publish(adapter.Broadcast{Namespace: mainNsp, Args: event("after", i), Target: to(heldRooms[i%len(heldRooms)])})
	}
	if err := outcome.wait(t); err != nil {
		t.Fatal(err)
	}
	if !nodes[0].fencer(t).Whole(back) {
		t.Errorf("lanes %v are not whole", back)
	}
	slices.Sort(want)
	nodes[0].awaitFence(t, f, back)
	for i, n := range nodes {
		n.awaitFence(t, f, lanes[i])
		if got := slices.Sorted(slices.Values(before(n.followed(mainNsp), f))); !slices.Equal(got, want) {
			t.Errorf("%s: before the fence came %d commands instead of %d", n.name, len(got), len(want))
		}
	}
}

func testFenceLanes(t *testing.T, nodes []*node) {
	follow(t, nodes)
	names := make([]string, 30)
	for i := range names {
		names[i] = fmt.Sprint("room-", i)
	}
	lanes := nodes[1].confirmLanes(t, names...)
	for i, name := range names {
		nodes[i%2*2].mustPublish(t, marker(i, name))
	}
	nodes[1].awaitFence(t, nodes[0].mustFence(t, names...), lanes)
	nodes[1].awaitFence(t, nodes[2].mustFence(t, names...), lanes)
	for _, s := range nodes[1].followed(mainNsp) {
		if s.command != "" && !slices.Contains(lanes, s.lane) {
			t.Errorf("%s came in lane %d, not in one of %v", s.command, s.lane, lanes)
		}
	}
	if !nodes[1].fencer(t).Whole(lanes) {
		t.Errorf("lanes %v are not whole", lanes)
	}
	more := nodes[1].confirmLanes(t, "joined later")
	if slices.ContainsFunc(more, func(l adapter.Lane) bool { return !slices.Contains(lanes, l) }) {
		t.Errorf("a room that is joined later begins a lane: %v besides %v", more, lanes)
	}
}

func testFenceUnfollowed(t *testing.T, nodes []*node) {
	follow(t, nodes[:1])
	t.Cleanup(nodes[1].fencer(t).Follow(chatNsp))
	nodes[0].mustFence(t)
	flush(t, nodes)
	for _, n := range nodes[1:] {
		if got := append(n.followed(mainNsp), n.followed(chatNsp)...); len(got) > 0 {
			t.Errorf("%s: came %v", n.name, got)
		}
	}
}

func testFenceAway(t *testing.T, nodes []*node) {
	n := nodes[0]
	lanes := n.confirmLanes(t, "red")
	var outcomes []*outcome
	for range 20 { // some of them still on their way when Run ends
		_, _, o := n.fence(t, "red")
		outcomes = append(outcomes, o)
	}
	if err := n.end(); err != nil {
		t.Fatal(err)
	}
	_, _, late := n.fence(t, "red")
	if err := late.wait(t); !errors.Is(err, adapter.ErrAway) {
		t.Errorf("Fence after Run: %v", err)
	}
	for _, o := range outcomes {
		_ = o.wait(t) // with any outcome
	}
	if n.fencer(t).Whole(lanes) {
		t.Errorf("lanes %v are whole after Run", lanes)
	}
	confirmed := n.newOutcome()
	n.fencer(t).ConfirmLanes(mainNsp, []string{"red"}, func(_ []adapter.Lane, err error) { confirmed.done(err) })
	if err := confirmed.wait(t); !errors.Is(err, adapter.ErrAway) {
		t.Errorf("ConfirmLanes after Run: %v", err)
	}
}

// testFollowOwn: own commands of every kind and shape come in the order in which they come to the others.
func testFollowOwn(t *testing.T, nodes []*node) {
	follow(t, nodes[:2])
	for _, n := range nodes {
		n.confirmLanes(t, heldRooms...)
	}
	commands := commandsIn(mainNsp)
	for _, c := range commands {
		nodes[0].publish(c)
	}
	f := nodes[0].mustFence(t, heldRooms...)
	lanes := nodes[1].confirmLanes(t, heldRooms...)
	nodes[1].awaitFence(t, f, lanes)
	for i, n := range nodes[:2] {
		got, want := before(n.followed(mainNsp), f), showAll(commands)
		if n.perTarget {
			got, want = byTarget(got), byTarget(want)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: came\n%s\nwant\n%s", n.name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		for _, s := range n.followed(mainNsp) {
			if s.command != "" && (s.own != (i == 0) || s.lane == 0) {
				t.Errorf("%s: %s: own is %t, lane %d", n.name, s.command, s.own, s.lane)
			}
		}
	}
	// What does not follow receives as ever.
	flush(t, nodes)
	expect(t, nodes[2], mainNsp, showAll(commands))
	if untimed := nodes[0].untimed + nodes[1].untimed; untimed > 0 {
		t.Errorf("%d broadcasts do not say when they were received", untimed)
	}
}

func testFollowEnds(t *testing.T, nodes []*node) {
	n := nodes[0]
	n.confirmLanes(t, "red")
	say := func(i int) adapter.Broadcast {
		return adapter.Broadcast{Namespace: mainNsp, Args: event("say", i), Target: to("red")}
	}
	n.mustPublish(t, say(0))
	n.mustFence(t, "red")
	first, second := n.fencer(t).Follow(mainNsp), n.fencer(t).Follow(mainNsp)
	n.mustPublish(t, say(1))
	n.mustFence(t, "red")
	first()
	first() // counts once
	n.mustPublish(t, say(2))
	n.mustFence(t, "red")
	second()
	n.mustPublish(t, say(3))
	n.mustFence(t, "red")
	var got []string
	for _, s := range n.followed(mainNsp) {
		if s.command != "" {
			got = append(got, s.command)
		}
	}
	if want := []string{show(say(1)), show(say(2))}; !slices.Equal(got, want) {
		t.Errorf("own commands %q, want %q", got, want)
	}
	if heard := n.heard(mainNsp); len(heard) > 0 {
		t.Errorf("own commands came as those of others: %q", heard)
	}
}

// testFollowBegins: a command whose delivery without its lane is in progress when the node calls Follow comes before every fence that
// the node asks for afterwards.
func testFollowBegins(t *testing.T, nodes []*node) {
	const moment = 50 * time.Millisecond // for which the delivery is held up; a test relies on it only to fail
	n, m := nodes[1], marker(0, "red")
	n.confirmLanes(t, "red")
	entered, let := make(chan struct{}), make(chan struct{})
	enter := sync.OnceFunc(func() { close(entered) })
	n.onDeliver(func(command string) {
		if command == show(m) {
			enter()
			<-let
		}
	})
	nodes[0].mustPublish(t, m)
	select {
	case <-entered:
	case <-time.After(deadline):
		close(let)
		t.Fatalf("%s was not published to %s", show(m), n.name)
	}
	time.AfterFunc(moment, func() { close(let) })
	defer n.fencer(t).Follow(mainNsp)()
	if len(n.heard(mainNsp)) == 0 {
		t.Error("Follow returned before a command had been delivered that was on its way")
	}
	<-let
}

// testForeignID moves a socket's own room from one node to the next, one of which has a pattern for ids that begin so, where
// there are patterns. Each that holds it receives what is for it, once.
func testForeignID(t *testing.T, nodes []*node) {
	const id = "AAAAAAAAAAAAAAAAAAAA"
	var want [3][]adapter.Broadcast
	say := func(from int, holders ...int) {
		m := marker(len(want[0])+len(want[1])+len(want[2]), id)
		nodes[from].mustPublish(t, m)
		for _, h := range holders {
			if h != from {
				want[h] = append(want[h], m)
			}
		}
	}
	leave := func(i int) {
		nodes[i].hold(mainNsp, false, id)
		nodes[i].Touch(mainNsp, id)
	}
	join := func(i int) { nodes[i].join(t, mainNsp, id) }
	join(0)
	say(1, 0)
	join(1) // both hold it while it moves
	say(2, 0, 1)
	say(0, 1)
	for i, n := range nodes[:2] { // what a node that leaves has not handled yet it does not get
		expectOnce(t, n, want[i])
	}
	leave(0)
	say(2, 1)
	say(0, 1)
	join(2)
	expectOnce(t, nodes[1], want[1])
	leave(1)
	say(0, 2)
	say(1, 2)
	join(0) // and back
	say(1, 0, 2)
	say(2, 0)
	for i, n := range nodes {
		expectOnce(t, n, want[i])
	}
}
