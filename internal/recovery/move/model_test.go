package move_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/internal/recovery/move"
	"github.com/carillon-io/carillon/pkg/rooms"
)

var (
	cases = flag.Int("cases", 4000, "worlds of the model")
	seed  = flag.Uint64("seed", 0, "the first world")
)

// A session that moves between nodes again and again is sent exactly what each publisher sent it, in the order in which that
// published; whatever happens to lanes, nodes and rooms meanwhile.
func TestModel(t *testing.T) {
	var mu sync.Mutex
	var total outcome
	var running sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		running.Go(func() {
			for n := w; n < *cases && !t.Failed(); n += workers {
				o := runWorld(*seed + uint64(n))
				mu.Lock()
				total.add(o)
				mu.Unlock()
				if o.fault != "" {
					t.Errorf("seed %d: %s", *seed+uint64(n), o.fault)
				}
			}
		})
	}
	running.Wait()
	t.Logf("%d worlds: %d moves, %d failed, %d of more than one fence, %d given back, %d earlier claims kept, %d owners that left in the middle, "+
		"%d sessions lost with their node, %d events", *cases, total.moves, total.failed, total.refenced, total.returned, total.kept, total.left,
		total.lost, total.events)
	if total.moves < *cases/3 || total.failed == 0 || total.refenced == 0 || total.lost == 0 ||
		total.returned == 0 || total.kept == 0 || total.left == 0 {
		t.Error("the model does not try what it is to try")
	}
}

type outcome struct {
	fault                                 string
	moves, failed, refenced, lost, events int
	returned, kept, left                  int
}

func (o *outcome) add(p outcome) {
	o.moves, o.failed, o.refenced = o.moves+p.moves, o.failed+p.failed, o.refenced+p.refenced
	o.lost, o.events = o.lost+p.lost, o.events+p.events
	o.returned, o.kept, o.left = o.returned+p.returned, o.kept+p.kept, o.left+p.left
}

// event is the n-th that a publisher sends.
type event struct {
	publisher, n int
	room         string
	sure         bool // for a room that the session was in when it was published, by the publisher's own commands
}

type command = move.Command[*event]

const (
	nodes = 3
	own   = "the session's own room"
	all   = "all"
)

// world is a cluster with one session.
type world struct {
	outcome

	rng    *rand.Rand
	lanes  int
	nodes  [nodes]*node
	laneID move.Lane
	fences uint64
	owner  int    // in the registry
	number int    // of the entry in the registry
	going  *going // the move under way

	sent    [nodes][]*event // by publisher, those for rooms that the session is certainly in
	missed  map[*event]bool // that were lost on their way to the session's node
	inRoom  [nodes]bool     // whether the publisher has put the session into its room
	tainted [nodes]bool     // whether a command of the publisher's about its room was lost
	got     []*event        // by the session's clients
}

// node is one gateway. It is the publisher of the same number, too.
type node struct {
	number  int
	out     [2][]message // to each server
	in      [2][]message // from each server
	lane    [2]move.Lane
	wants   []string        // rooms to be subscribed to
	subs    map[string]bool // rooms that are
	pins    map[string]int  // rooms that sessions on their way are in, or may be
	session *move.Session[*event]
	entry   int // the number in the registry that the session is here under
	tape    move.Tape[*event]
	cut     *move.Cut[*event]
}

type message struct {
	from    int
	fence   move.Fence // not zero: a fence
	command command
	wide    bool // goes to the namespace's channel
}

func (n *node) holds(t rooms.Target) bool {
	return len(t.Rooms) == 0 || slices.ContainsFunc(t.Rooms, func(room string) bool {
		if n.pins[room] > 0 {
			return true
		}
		if n.session == nil {
			return false
		}
		_, in := n.session.Rooms[room]
		return in
	})
}

// going is a move under way.
type going struct {
	to, from int
	number   int // in the registry, at the owner
	stage    int
	mark     *move.Mark
	pinned   []string // in this order
	held     []string
	lanes    []move.Lane
	bounds   move.Bounds
	session  move.Session[*event] // as the owner hands it over
	fences   int
	left     bool // the owner has ended, and has entered the session as the new node's
}

const (
	subscribes = iota // B waits for its subscriptions
	cuts              // A waits for its fence
	closes            // B waits for its own fence
	returns           // B has entered the session, and cannot take it: A is to change the entry
)

func room(publisher int) string { return fmt.Sprint("of ", publisher) }

func runWorld(seed uint64) outcome {
	rng := rand.New(rand.NewPCG(seed, 20))
	w := &world{rng: rng, lanes: 1 + rng.IntN(2), missed: make(map[*event]bool)}
	for i := range w.nodes {
		w.nodes[i] = &node{number: i, subs: map[string]bool{}, pins: map[string]int{}}
		for l := range w.lanes {
			w.nodes[i].lane[l] = w.newLane()
		}
	}
	w.connect(0)
	calm := rng.IntN(3) == 0 // nothing breaks
	for range 300 + rng.IntN(500) {
		switch op := rng.IntN(1000); {
		case op < 250:
			w.publish(rng.IntN(nodes))
		case op < 700:
			w.pass(rng.IntN(nodes), rng.IntN(w.lanes), 1+rng.IntN(3))
		case op < 800:
			w.subscribe(rng.IntN(nodes), 1)
		case op < 980:
			w.step()
		case calm:
		case op < 986:
			w.lose(rng.IntN(nodes), rng.IntN(w.lanes))
		case op < 990:
			w.fail() // a node or the network between them
		case op < 994:
			w.claimAgain()
		case op < 995:
			w.die(w.owner)
		case op < 996:
			w.leave()
		}
		if w.fault = w.check(false); w.fault != "" {
			return w.outcome
		}
	}
	for round := range 1000 {
		for i := range nodes {
			for l := range w.lanes {
				w.pass(i, l, 1000)
			}
			w.subscribe(i, 1000)
		}
		if w.going == nil && round > 3 {
			break
		}
		if w.going != nil {
			w.step()
		}
	}
	w.fault = w.check(true)
	w.events = len(w.got)
	return w.outcome
}

func (w *world) newLane() move.Lane { w.laneID++; return w.laneID }

func (w *world) newFence(n *node) move.Fence {
	w.fences++
	return move.Fence{Node: fmt.Sprint(n.number), Number: w.fences}
}

// laneOf is the server that a publisher's rooms are on: there is no order between servers, and so none that could be checked.
func (w *world) laneOf(publisher int) int { return publisher % w.lanes }

// connect begins a session at a node.
func (w *world) connect(at int) {
	s := move.NewSession[*event]([]string{own, all}, 0)
	w.owner, w.number = at, w.number+1
	n := w.nodes[at]
	n.session, n.entry = &s, w.number
	n.subs[own], n.subs[all] = true, true
	for l := range w.lanes { // what is on its way was for nobody
		n.in[l] = nil
	}
	w.inRoom, w.tainted, w.sent, w.got = [nodes]bool{}, [nodes]bool{}, [nodes][]*event{}, nil
	for _, n := range w.nodes {
		for l := range w.lanes {
			n.out[l] = nil
		}
	}
}

// publish has a node publish something.
func (w *world) publish(i int) {
	n := w.nodes[i]
	var c command
	switch op := w.rng.IntN(10); {
	case op < 6:
		to := []string{all, own, room(i), room((i + 1) % nodes)}[w.rng.IntN(4)]
		e := &event{publisher: i, n: len(w.sent[i]), room: to, sure: to == all || to == own || to == room(i) && w.inRoom[i] && !w.tainted[i]}
		c = command{Kind: move.Event, Target: rooms.Target{Rooms: []string{to}}, Event: e}
		w.sent[i] = append(w.sent[i], e)
	case op < 8:
		w.inRoom[i] = true
		c = command{Kind: move.Join, Target: rooms.Target{Rooms: []string{own}}, Rooms: []string{room(i)}}
	case op < 9:
		w.inRoom[i] = false
		c = command{Kind: move.Leave, Target: rooms.Target{Rooms: []string{all}}, Rooms: []string{room(i)}}
	default:
		c = command{Kind: move.Join, Target: rooms.Target{}, Rooms: []string{room((i + 1) % nodes)}}
		w.tainted[(i+1)%nodes] = true // whose order to its own commands is anything
		for _, e := range w.sent[(i+1)%nodes] {
			e.sure = e.sure && e.room != room((i+1)%nodes)
		}
	}
	n.tape.Publish(c)
	w.apply(n, &c)
	// The publisher knows that subscriptions to the room may be under way: see package joined.
	n.out[w.laneOf(i)] = append(n.out[w.laneOf(i)], message{from: i, command: c, wide: true})
}

// apply applies a command to the session if it is at the node.
func (w *world) apply(n *node, c *command) {
	if n.session == nil {
		return
	}
	n.session.Apply(c)
	if c.Kind == move.Join {
		n.wants = append(n.wants, c.Rooms...)
	}
	if w.owner == n.number && n.entry == w.number {
		w.receive(n)
	}
}

// receive hands what the session is sent to its client, as far as its connection takes it: the rest is handed over.
func (w *world) receive(n *node) {
	for len(n.session.Events) > 0 && w.rng.IntN(3) > 0 && w.going == nil {
		w.got = append(w.got, n.session.Events[0])
		n.session.Events = n.session.Events[1:]
	}
}

// pass moves messages: from a node to a server, from there to all nodes, and has the node read.
func (w *world) pass(i, lane, most int) {
	n := w.nodes[i]
	for range min(most, len(n.out[lane])) {
		m := n.out[lane][0]
		n.out[lane] = n.out[lane][1:]
		for _, to := range w.nodes {
			if m.fence != (move.Fence{}) || m.wide || m.command.Kind != move.Event || to.subs[m.command.Target.Rooms[0]] {
				to.in[lane] = append(to.in[lane], m)
			}
		}
	}
	for range min(most, len(n.in[lane])) {
		m := n.in[lane][0]
		n.in[lane] = n.in[lane][1:]
		switch mine := m.from == i; {
		case m.fence != (move.Fence{}):
			n.tape.Back(m.fence, n.lane[lane])
			if n.cut != nil {
				n.cut.Back(m.fence, n.lane[lane])
			}
		case !n.holds(m.command.Target):
		default:
			n.tape.Arrive(n.lane[lane], mine, m.command)
			if n.tape.On() && m.command.Kind == move.Join && w.going != nil {
				w.pin(m.command.Rooms)
			}
			if n.cut != nil {
				n.cut.Arrive(n.lane[lane], mine, &m.command)
			}
			if !mine {
				w.apply(n, &m.command)
			}
		}
	}
}

func (w *world) subscribe(i, most int) {
	n := w.nodes[i]
	for range min(most, len(n.wants)) {
		n.subs[n.wants[0]] = true
		n.wants = n.wants[1:]
	}
}

// pin has the new node hold rooms for the session on its way.
func (w *world) pin(names []string) {
	g := w.going
	for _, name := range names {
		if !slices.Contains(g.pinned, name) {
			g.pinned = append(g.pinned, name)
			w.nodes[g.to].pins[name]++
			w.nodes[g.to].wants = append(w.nodes[g.to].wants, name)
		}
	}
}

// fence publishes a fence of a node to all servers.
func (w *world) fence(n *node) (move.Fence, []move.Lane) {
	f := w.newFence(n)
	n.tape.Close(f)
	for l := range w.lanes {
		n.out[l] = append(n.out[l], message{from: n.number, fence: f})
	}
	return f, slices.Clone(n.lane[:w.lanes])
}

// step takes the move under way a step on, or begins one.
func (w *world) step() {
	g := w.going
	if g == nil {
		w.begin()
		return
	}
	a, b := w.nodes[g.from], w.nodes[g.to]
	switch g.stage {
	case subscribes:
		if len(b.wants) > 0 {
			return
		}
		b.tape.End(g.mark)
		g.mark = b.tape.Begin()
		g.held, g.lanes = slices.Clone(g.pinned), slices.Clone(b.lane[:w.lanes])
		f, lanes := w.fence(a)
		at := move.NewSession[*event](roomsOf(a.session), 0)
		at.Events = slices.Clone(a.session.Events)
		a.cut = move.NewCut(at, f, lanes)
		g.bounds.Opening, g.bounds.OpeningLanes = f, g.lanes
		g.stage = cuts
		g.fences++
	case cuts:
		if !a.cut.Complete() {
			return
		}
		cut := a.cut
		a.cut = nil
		if missing := cut.Missing(g.held); len(missing) > 0 {
			if g.fences > 4 {
				w.fail()
				return
			}
			w.pin(missing)
			g.stage = subscribes
			return
		}
		g.session = cut.Session
		g.bounds.Closing, g.bounds.ClosingLanes = w.fence(b)
		g.stage = closes
	case closes:
		s := move.NewSession[*event](roomsOf(&g.session), 0)
		s.Events = slices.Clone(g.session.Events)
		if !slices.Equal(g.lanes, b.lane[:w.lanes]) { // a lane was broken, perhaps behind the closing fence
			w.fail()
			return
		}
		if !b.tape.Judge(g.mark, g.bounds, &s) {
			return
		}
		if w.number != g.number { // another claim was faster
			w.fail()
			return
		}
		w.number++
		if !g.left && w.rng.IntN(20) == 0 {
			g.stage = returns
			return
		}
		w.owner = g.to
		b.session, b.entry = &s, w.number
		w.end()
		w.moves++
		if g.fences > 1 {
			w.refenced++
		}
		if w.rng.IntN(4) > 0 { // else the old owner does not know
			a.session = nil
		}
		w.receive(b)
	case returns:
		w.number++
		a.entry = w.number
		w.returned++
		w.fail()
	}
}

func roomsOf(s *move.Session[*event]) (names []string) {
	for name := range s.Rooms {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// begin begins a move to a node that does not have the session.
func (w *world) begin() {
	to := (w.owner + 1 + w.rng.IntN(nodes-1)) % nodes
	b := w.nodes[to]
	b.session = nil // it has asked the registry
	w.going = &going{to: to, from: w.owner, number: w.number}
	w.pin(roomsOf(w.nodes[w.owner].session))
}

// end ends the move under way, whatever has become of it.
func (w *world) end() {
	g := w.going
	b := w.nodes[g.to]
	b.tape.End(g.mark)
	for _, name := range g.pinned {
		b.pins[name]--
	}
	w.nodes[g.from].cut = nil
	w.going = nil
}

// fail ends the move under way without a result.
func (w *world) fail() {
	g := w.going
	if g == nil {
		return
	}
	w.end()
	w.failed++
	if g.left { // nothing has the session any more
		w.lost++
		for _, n := range w.nodes {
			n.session = nil
		}
		w.connect(g.to)
	}
}

// leave has the owner end once it has handed the session over. It enters it as the new node's.
func (w *world) leave() {
	g := w.going
	if g == nil || g.stage != closes || g.left || w.number != g.number {
		return
	}
	w.nodes[g.from].session = nil
	g.left = true
	w.left++
}

// claimAgain has a later claim win, unless the client of the earlier one answers, or the new node is at it still and has entered
// the session: the owner takes the entry in the registry anew.
func (w *world) claimAgain() {
	switch g := w.going; {
	case g == nil || g.left || g.stage == returns:
		return
	case w.rng.IntN(3) == 0:
		w.kept++
		return
	}
	w.number++
	w.nodes[w.owner].entry = w.number
	if w.rng.IntN(2) == 0 {
		w.fail() // the former one knows
	}
	// else it finds out when it commits, but the owner's cut is gone
}

// lose breaks the subscription of a node at a server.
func (w *world) lose(i, lane int) {
	n := w.nodes[i]
	if w.owner == i && n.session != nil {
		for _, m := range n.in[lane] {
			switch {
			case m.from == i || m.fence != (move.Fence{}):
			case m.command.Kind == move.Event:
				w.missed[m.command.Event] = true
			default:
				w.taint(m.command.Rooms)
			}
		}
	}
	n.in[lane] = nil
	n.lane[lane] = w.newLane()
	if g := w.going; g != nil && (n.cut != nil && !n.cut.Complete()) {
		w.fail() // the fence's publisher is told
	} else if g != nil && g.to == i && w.rng.IntN(2) == 0 {
		w.fail()
	} else if g != nil && g.to == i && g.stage == subscribes && w.rng.IntN(2) == 0 {
		return // confirmed later, in the new lane
	}
}

func (w *world) taint(names []string) {
	for p := range nodes {
		if slices.Contains(names, room(p)) {
			w.tainted[p] = true
			for _, e := range w.sent[p] {
				e.sure = e.sure && e.room != room(p)
			}
		}
	}
}

// die kills a node. Its session is lost with it, and the client connects anew.
func (w *world) die(i int) {
	w.fail()
	for j, n := range w.nodes {
		n.session = nil
		if j == i {
			*n = node{number: i, subs: map[string]bool{}, pins: map[string]int{}}
			for l := range w.lanes {
				n.lane[l] = w.newLane()
			}
		}
		for l := range w.lanes {
			n.in[l] = nil
		}
	}
	w.lost++
	w.connect((i + 1) % nodes)
}

// check compares what the client got with what it should have; at the end everything must have come.
func (w *world) check(end bool) string {
	got := w.got
	if end {
		got = slices.Concat(got, w.nodes[w.owner].session.Events)
	}
	seen := make(map[*event]bool, len(got))
	var last [nodes]int
	for _, e := range got {
		if seen[e] {
			return fmt.Sprintf("event %d of %d came twice", e.n, e.publisher)
		}
		if e.n < last[e.publisher] {
			return fmt.Sprintf("event %d of %d came behind %d", e.n, e.publisher, last[e.publisher])
		}
		seen[e], last[e.publisher] = true, e.n
	}
	if !end {
		return ""
	}
	for p, list := range w.sent {
		for _, e := range list {
			switch {
			case e.sure && !seen[e] && !w.missed[e]:
				return fmt.Sprintf("event %d of %d, to %q, is missing (%d lanes, %d moves)", e.n, p, e.room, w.lanes, w.moves)
			case e.room == room(p) && !e.sure && !w.tainted[p] && seen[e]:
				return fmt.Sprintf("event %d of %d was not for the session", e.n, p)
			}
		}
	}
	return ""
}
