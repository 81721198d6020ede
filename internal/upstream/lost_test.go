package upstream_test

import (
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/upstream"
)

func lifecycle(r *config.Route) { r.Lifecycle = true }

// ends counts the disconnected entries of each socket, and checks that seq has no gaps and nothing follows the end.
func ends(t *testing.T, s *server, partitions int) map[string]int {
	t.Helper()
	seqs, count := map[string]int{}, map[string]int{}
	for p := range partitions {
		for _, e := range s.entries(fmt.Sprintf("carillon:up:{orders.%d}", p)) {
			sid := e.Values["sid"].(string)
			seqs[sid]++
			if e.Values["seq"] != strconv.Itoa(seqs[sid]) || count[sid] > 0 {
				t.Errorf("%s: entry %d is %v with seq %v", sid, seqs[sid], e.Values["t"], e.Values["seq"])
			}
			if e.Values["t"] == "disconnected" {
				count[sid]++
			}
		}
	}
	return count
}

// live is how many sockets the live sets hold.
func (s *server) live(partitions int) int {
	n := 0
	for p := range partitions {
		n += int(s.Client.HLen(s.t.Context(), fmt.Sprintf("carillon:live:{orders.%d}", p)).Val())
	}
	return n
}

func TestLost_OneSurvivorEndsTheSocketsOfNodesThatDieTogether(t *testing.T) {
	t.Parallel()
	const partitions, each = 3, 50
	s := startServer(t)
	routes := route(func(r *config.Route) { r.Lifecycle, r.Partitions = true, partitions })
	var nodes []*node
	for range 5 {
		nodes = append(nodes, startNode(t, s, routes))
	}
	var last []<-chan outcome
	for i, n := range nodes[:3] {
		for j := range each {
			c := n.open(upstream.Client{ID: fmt.Sprintf("sid-%d-%d", i, j), User: "u,s\x00er"})
			last = append(last, c.send("orders", "e", "[]"))
		}
	}
	for _, o := range last {
		if got := receive(t, "outcome", o); got.err != nil {
			t.Fatal(got.err)
		}
	}
	for _, n := range nodes[:3] {
		n.die()
	}
	eventually(t, "everybody ended", func() bool { return s.live(partitions) == 0 })
	for sid, n := range ends(t, s, partitions) {
		if n != 1 {
			t.Errorf("%s: %d disconnected entries", sid, n)
		}
	}
	eventually(t, "the dead are forgotten", func() bool {
		return s.Client.HLen(t.Context(), "carillon:{upstream}:nodes").Val() == 2
	})
	if n := len(ends(t, s, partitions)); n != 3*each {
		t.Errorf("%d sockets have a disconnected entry, want %d", n, 3*each)
	}
	for _, e := range s.entries(orders) {
		if e.Values["t"] == "disconnected" && (e.Values["reason"] != "node lost" || e.Values["user"] != "u,s\x00er" || e.Values["nsp"] != "/") {
			t.Errorf("a survivor writes %v", e.Values)
		}
	}
}

func TestLost_AnotherSurvivorGoesOnWhereOneDied(t *testing.T) {
	t.Parallel()
	const each = 2000 // more than a few calls of the script
	s := startServer(t)
	dead := startNode(t, s, route(lifecycle))
	var last <-chan outcome
	for i := range each {
		last = dead.open(upstream.Client{ID: fmt.Sprintf("sid-%d", i)}).send("orders", "e", "[]")
	}
	receive(t, "outcome", last)
	dead.die()
	first := startNode(t, s, route(lifecycle))
	eventually(t, "reaping has begun", func() bool { return s.live(1) < each })
	first.die()
	startNode(t, s, route(lifecycle))
	eventually(t, "everybody ended", func() bool { return s.live(1) == 0 })
	for sid, n := range ends(t, s, 1) {
		if n != 1 {
			t.Errorf("%s: %d disconnected entries", sid, n)
		}
	}
}

func TestLost_ANodeThatComesBackClosesItsSocketsAndGoesOnUnderAnotherName(t *testing.T) {
	s := startServer(t)
	frozen := startNode(t, s, route(lifecycle))
	c := frozen.open(upstream.Client{ID: "sid-1"})
	if got := receive(t, "outcome", c.send("orders", "e", "[]")); got.err != nil {
		t.Fatal(got.err)
	}
	name := s.entries(orders)[0].Values["node"]
	// What survivors do is done here, as if the node had been frozen for long: it is the one that must notice.
	declare(t, s, fmt.Sprint(name))
	receive(t, "the socket is closed", c.closed)
	if got := receive(t, "outcome", c.send("orders", "late", "[]")); !errors.Is(got.err, upstream.ErrLost) {
		t.Errorf("an event of a socket that was declared lost: %v", got.err)
	}
	c.leave("transport close")
	again := frozen.open(upstream.Client{ID: "sid-2"})
	if got := receive(t, "outcome", again.send("orders", "e", "[]")); got.err != nil {
		t.Errorf("under the next name: %v", got.err)
	}
	for _, e := range s.entries(orders) {
		if e.Values["sid"] == "sid-1" && e.Values["t"] == "disconnected" {
			t.Errorf("the node ended a socket itself: %v", e.Values)
		}
		if e.Values["sid"] == "sid-2" && e.Values["node"] == name {
			t.Error("the next socket is one of the lost node")
		}
	}
}

// declare marks a node as lost, as a survivor does.
func declare(t *testing.T, s *server, name string) {
	t.Helper()
	if err := s.Client.Set(t.Context(), "carillon:{upstream}:lost:"+name, "lost", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.Client.HSet(t.Context(), "carillon:live:{orders.0}:"+name, "!", "lost").Err(); err != nil {
		t.Fatal(err)
	}
}

func TestLost_ASocketThatComesBackOverAnotherConnectionGoesOnUnlessItsNodeWasLost(t *testing.T) {
	s := startServer(t)
	n := startNode(t, s, route(lifecycle))
	c := n.open(upstream.Client{ID: "sid"})
	receive(t, "outcome", c.send("orders", "e", "[]"))
	c.cancel() // the connection breaks
	again, _ := newConnection(t)
	if !c.resumes(again) {
		t.Fatal("the socket does not go on")
	}
	answered := c.ask("[]")
	entry := s.await(3)[2]
	if entry.Values["seq"] != "3" {
		t.Errorf("seq goes on with %v", entry.Values["seq"])
	}
	s.reply(entry, "data", `["still there"]`)
	if got := receive(t, "answer", answered); string(got.args.JSON) != `["still there"]` {
		t.Errorf("answered %s, %v", got.args.JSON, got.err)
	}
	declare(t, s, fmt.Sprint(entry.Values["node"]))
	receive(t, "the connection of now is closed", again.closed)
	if third, _ := newConnection(t); c.resumes(third) {
		t.Error("a socket that others have ended goes on")
	}
	c.leave("transport close")
}

func TestLost_AnOutageOfRedisDeclaresNobodyLost(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a, b := startNode(t, s, route(lifecycle)), startNode(t, s, route(lifecycle))
	one, two := a.open(upstream.Client{ID: "a"}), b.open(upstream.Client{ID: "b"})
	receive(t, "outcome", one.send("orders", "e", "[]"))
	receive(t, "outcome", two.send("orders", "e", "[]"))
	for range 3 {
		s.Signal(syscall.SIGSTOP)
		time.Sleep(2 * fast.Period) // an outage takes time: nothing else ends it
		s.Signal(syscall.SIGCONT)
		s.Kill()
		s.Start()
	}
	if got := receive(t, "outcome", one.send("orders", "e", "[]")); got.err != nil {
		t.Error(got.err)
	}
	if got := receive(t, "outcome", two.send("orders", "e", "[]")); got.err != nil {
		t.Error(got.err)
	}
	for sid := range ends(t, s, 1) {
		t.Errorf("%s was declared lost", sid)
	}
	b.die() // and after the outage the promise holds again
	eventually(t, "the one that died is ended", func() bool { return ends(t, s, 1)["b"] == 1 })
	if ends(t, s, 1)["a"] != 0 {
		t.Error("the survivor was ended as well")
	}
}
