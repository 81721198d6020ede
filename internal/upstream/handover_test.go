package upstream_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"syscall"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/upstream"
)

// offer ends the client's connection and has its node offer the socket.
func (c *client) offer() upstream.Handover {
	c.t.Helper()
	c.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	h, err := c.Offer(ctx)
	if err != nil {
		c.t.Fatal("offer: ", err)
	}
	text, err := json.Marshal(h)
	if err != nil {
		c.t.Fatal(err)
	}
	var arrived upstream.Handover
	if err := json.Unmarshal(text, &arrived); err != nil {
		c.t.Fatal(err)
	}
	return arrived
}

// take takes a socket without waiting for what Redis says.
func (n *node) take(sid string, h upstream.Handover) *client {
	n.t.Helper()
	s, err := n.up.Take(upstream.Client{ID: sid, Namespace: "/", Auth: []byte("{}")}, h)
	if err != nil {
		n.t.Fatal("take: ", err)
	}
	return &client{t: n.t, Socket: s, cancel: func() {}}
}

// taken waits for what Redis says.
func (c *client) taken() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return c.Taken(ctx)
}

// back brings the client back over another connection.
func (c *client) back() {
	c.t.Helper()
	c.connection, c.cancel = newConnection(c.t)
	if !c.resumes(c.connection) {
		c.t.Fatal("the socket does not go on")
	}
}

// must sends an event, which must be stored.
func (c *client) must(args string) {
	c.t.Helper()
	if got := receive(c.t, "outcome", c.send("orders", "e", args)); got.err != nil {
		c.t.Fatal(args, ": ", got.err)
	}
}

// move takes the socket to another node, whole.
func (c *client) move(sid string, to *node) *client {
	c.t.Helper()
	h := c.offer()
	there := to.take(sid, h)
	if err := there.taken(); err != nil {
		c.t.Fatal("taken: ", err)
	}
	c.Moved()
	there.back()
	return there
}

// story is what a backend reads about the route, a word for each entry: event data, connected, or the reason of an end.
func (s *server) story() []string {
	var words []string
	for _, e := range s.entries(orders) {
		word := fmt.Sprint(e.Values["t"])
		switch word {
		case "event":
			word = fmt.Sprint(e.Values["data"])
		case "disconnected":
			word = fmt.Sprint(e.Values["reason"])
		}
		words = append(words, fmt.Sprint(e.Values["seq"], " ", word))
	}
	return words
}

func (s *server) tells(t *testing.T, want ...string) {
	t.Helper()
	if got := s.story(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("backends read\n%q, want\n%q", got, want)
	}
}

func TestHandover_ASocketThatMovesAgainAndAgainIsOneSocketForBackends(t *testing.T) {
	s := startServer(t)
	a, b, c := startNode(t, s, route(lifecycle)), startNode(t, s, route(lifecycle)), startNode(t, s, route(lifecycle))
	at := a.open(upstream.Client{ID: "sid", User: "ada"})
	at.must("0")
	for i, to := range []*node{b, c, a, c, b} {
		at = at.move("sid", to)
		at.must(fmt.Sprint(i + 1))
	}
	a.leave(patience) // neither those that had it, nor their survivors, end it
	c.die()
	eventually(t, "the dead node is forgotten", func() bool { return s.Client.HLen(t.Context(), liveNodes).Val() == 1 })
	at.must("6")
	at.leave("bye")
	s.await(9)
	s.tells(t, "1 connected", "2 0", "3 1", "4 2", "5 3", "6 4", "7 5", "8 6", "9 bye")
	for _, e := range s.entries(orders) {
		if e.Values["user"] != "ada" {
			t.Errorf("the user is lost: %v", e.Values)
		}
	}
	b.leave(patience)
	if left := s.live(1); left > 0 {
		t.Errorf("%d sockets are left in the live set", left)
	}
}

// liveNodes is the hash of heartbeats.
const liveNodes = "carillon:{upstream}:nodes"

func TestHandover_OfTwoOffersTheLaterOneCounts(t *testing.T) {
	s := startServer(t)
	a, b, c := startNode(t, s, route(lifecycle)), startNode(t, s, route(lifecycle)), startNode(t, s, route(lifecycle))
	at := a.open(upstream.Client{ID: "sid"})
	first := at.offer()
	second := at.offer()
	late := c.take("sid", second)
	if err := late.taken(); err != nil {
		t.Fatal(err)
	}
	if err := b.take("sid", first).taken(); !errors.Is(err, upstream.ErrGone) {
		t.Errorf("an offer that was made void: %v", err)
	}
	late.back()
	late.must("1")
	at.Leave("transport close") // which does not know what became of its offers
	late.must("2")
	late.leave("bye")
	s.await(4)
	s.tells(t, "1 connected", "2 1", "3 2", "4 bye")
}

func TestHandover_ANodeThatTakesItsSocketBackWinsOverTheOneThatHasClaimedIt(t *testing.T) {
	s := startServer(t)
	a, b := startNode(t, s, route(lifecycle)), startNode(t, s, route(lifecycle))
	at := a.open(upstream.Client{ID: "sid"})
	h := at.offer()
	there := b.take("sid", h)
	if err := there.taken(); err != nil {
		t.Fatal(err)
	}
	there.back()
	there.must("there")
	at.back() // its client came here
	at.must("here")
	stale := there.send("orders", "e", "stale")
	if got := receive(t, "outcome", stale); !errors.Is(got.err, upstream.ErrLost) {
		t.Errorf("an event of a socket that was taken back: %v", got.err)
	}
	receive(t, "its connection is closed", there.closed)
	there.leave("stale end")
	b.leave(patience)
	at.leave("bye")
	s.await(4)
	s.tells(t, "1 connected", "2 there", "3 here", "4 bye")
}

func TestHandover_WhatIsEndedCannotBeTaken(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, s *server, a *node, at *client){
		"by its node":   func(_ *testing.T, _ *server, _ *node, at *client) { at.Leave("window") },
		"with its node": func(_ *testing.T, _ *server, a *node, _ *client) { a.leave(patience) },
		"by survivors":  func(_ *testing.T, _ *server, a *node, _ *client) { a.die() },
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			a, b := startNode(t, s, route(lifecycle)), startNode(t, s, route(lifecycle))
			at := a.open(upstream.Client{ID: "sid"})
			at.must("1")
			h := at.offer()
			end(t, s, a, at)
			s.await(3)
			there := b.take("sid", h)
			if err := there.taken(); !errors.Is(err, upstream.ErrGone) {
				t.Errorf("taken: %v", err)
			}
			there.Leave("more")
			b.leave(patience)
			if got := s.story(); len(got) != 3 {
				t.Errorf("backends read %q", got)
			}
			if left := s.live(1); left > 0 {
				t.Errorf("%d sockets are left in the live set", left)
			}
		})
	}
}

func TestHandover_ANodeThatDiesBehindItsClaimIsSurvived(t *testing.T) {
	s := startServer(t)
	a, b := startNode(t, s, route(lifecycle)), startNode(t, s, route(lifecycle))
	at := a.open(upstream.Client{ID: "sid", User: "ada"})
	at.must("1")
	h := at.offer()
	if err := b.take("sid", h).taken(); err != nil {
		t.Fatal(err)
	}
	b.die()
	end := s.await(3)[2]
	s.tells(t, "1 connected", "2 1", "3 node lost")
	if end.Values["user"] != "ada" {
		t.Errorf("the end is %v", end.Values)
	}
	connection, _ := newConnection(t)
	if at.resumes(connection) {
		t.Error("what survivors have ended goes on where it came from")
	}
	at.Leave("transport close")
	a.leave(patience)
	s.tells(t, "1 connected", "2 1", "3 node lost")
}

func TestHandover_ANodeThatHasASocketAgainAnswersForItWhateverItForgetsOfBefore(t *testing.T) {
	s := startServer(t)
	a, b := startNode(t, s, route(lifecycle)), startNode(t, s, route(lifecycle))
	before := a.open(upstream.Client{ID: "sid"})
	before.must("1")
	there := b.take("sid", before.offer()) // of which a is not told
	there.back()
	again := there.move("sid", a)
	before.Leave("window over")
	again.must("2") // which comes behind it
	a.die()
	s.await(4)
	s.tells(t, "1 connected", "2 1", "3 2", "4 node lost")
}

func TestHandover_ASocketThatIsForgottenAndNeverClaimedEnds(t *testing.T) {
	s := startServer(t)
	a := startNode(t, s, route(lifecycle))
	at := a.open(upstream.Client{ID: "sid"})
	at.must("1")
	_ = at.offer() // the node that it is for dies before its claim
	at.Moved()
	s.await(3)
	s.tells(t, "1 connected", "2 1", "3 node lost")
}

func TestHandover_AnOfferWaitsForWhatIsUnderWay(t *testing.T) {
	s := startServer(t)
	a, b := startNode(t, s, route(lifecycle)), startNode(t, s, route(lifecycle))
	at := a.open(upstream.Client{ID: "sid"})
	at.must("1")
	s.Signal(syscall.SIGSTOP)
	outcome := at.send("orders", "e", "2")
	at.cancel()
	ctx, cancel := context.WithCancel(t.Context())
	refused := make(chan error, 1)
	go func() {
		_, err := at.Offer(ctx)
		refused <- err
	}()
	cancel()
	if err := receive(t, "refusal", refused); !errors.Is(err, upstream.ErrUnavailable) {
		t.Errorf("an offer while Redis is away: %v", err)
	}
	offered := make(chan upstream.Handover, 1)
	go func() { offered <- at.offer() }()
	eventually(t, "events are refused", func() bool {
		return at.Forward(&upstream.Event{Route: "orders", Name: "e", Stored: func(string, error) {}}) != nil
	})
	s.Signal(syscall.SIGCONT)
	h := receive(t, "offer", offered)
	got := receive(t, "outcome", outcome)
	if got.err != nil {
		t.Fatal(got.err)
	}
	there := b.take("sid", h)
	there.back()
	there.must("3")
	at.Moved()
	there.leave("bye")
	for _, e := range s.await(5) {
		if e.Values["data"] == "2" && e.ID != got.id {
			t.Errorf("accepted as %s, and is %s", got.id, e.ID)
		}
	}
}

func TestHandover_AClaimWhoseOutcomeIsUnknownIsAskedForAgain(t *testing.T) {
	s := startServer(t)
	a, b := startNode(t, s, route(lifecycle)), startNode(t, s, route(lifecycle))
	at := a.open(upstream.Client{ID: "sid"})
	at.must("1")
	h := at.offer()
	s.Signal(syscall.SIGSTOP)
	there := b.take("sid", h)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := there.Taken(ctx); !errors.Is(err, upstream.ErrUnavailable) {
		t.Errorf("while Redis is away: %v", err)
	}
	s.Signal(syscall.SIGCONT)
	if err := there.taken(); err != nil {
		t.Error(err)
	}
	there.back()
	there.must("2")
	there.leave("bye")
	s.await(4)
	s.tells(t, "1 connected", "2 1", "3 2", "4 bye")
}

func TestHandover_RoutesAndPartitionsThatOnlyTheOtherNodeKnows(t *testing.T) {
	s := startServer(t)
	routes := route(func(r *config.Route) { r.Lifecycle, r.Partitions = true, 7 })
	plain := config.DefaultRoute()
	routes["plain"] = plain
	a := startNode(t, s, routes)
	b := startNode(t, s, map[string]config.Route{"other": plain})
	for i := range 20 {
		sid := fmt.Sprint("sid-", i)
		at := a.open(upstream.Client{ID: sid})
		at.must("1")
		if got := receive(t, "outcome", at.send("plain", "e", "1")); got.err != nil {
			t.Fatal(got.err)
		}
		there := at.move(sid, b)
		if err := there.Forward(&upstream.Event{Route: "orders", Name: "e"}); !errors.Is(err, upstream.ErrRoute) {
			t.Errorf("a route that is not configured: %v", err)
		}
		there.leave("bye")
	}
	eventually(t, "all have ended", func() bool { return s.live(7) == 0 && s.Client.HLen(t.Context(), "carillon:live:{plain.0}").Val() == 0 })
	count := ends(t, s, 7)
	if len(count) != 20 {
		t.Errorf("%d sockets have entries", len(count))
	}
	for sid, n := range count {
		if n != 1 {
			t.Errorf("%s has %d ends", sid, n)
		}
	}
	if n := s.Client.XLen(t.Context(), "carillon:up:{plain.0}").Val(); n != 20 {
		t.Errorf("%d entries of the route without lifecycle", n)
	}
}

func TestHandover_ASocketWithoutEntriesMovesWithoutRedis(t *testing.T) {
	s := startServer(t)
	a, b := startNode(t, s, route(nil)), startNode(t, s, route(nil))
	at := a.open(upstream.Client{ID: "sid"})
	s.Signal(syscall.SIGSTOP)
	there := at.move("sid", b)
	s.Signal(syscall.SIGCONT)
	there.must("1")
	s.tells(t, "1 1")
}

func TestHandover_MalformedOffersAreRefused(t *testing.T) {
	up, err := upstream.New(upstream.Config{Client: goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1"})})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = up.Abandon() }()
	st := upstream.Stay{Route: "orders", Partition: 1, Seq: 1}
	for name, h := range map[string]upstream.Handover{
		"no number": {Stays: []upstream.Stay{st}},
		"no route":  {Move: 1, Stays: []upstream.Stay{{Seq: 1}}},
		"no seq":    {Move: 1, Stays: []upstream.Stay{{Route: "orders"}}},
		"twice":     {Move: 1, Stays: []upstream.Stay{st, st}},
		"too far":   {Move: 1, Stays: []upstream.Stay{{Route: "orders", Partition: 1 << 20, Seq: 1}}},
		"below 0":   {Move: 1, Stays: []upstream.Stay{{Route: "orders", Partition: -1, Seq: 1}}},
		"too many":  {Move: 1, Stays: make([]upstream.Stay, 2000)},
	} {
		if _, err := up.Take(upstream.Client{ID: "sid"}, h); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
