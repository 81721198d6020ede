package redispeers

import (
	"maps"
	"slices"
	"testing"
	"time"
)

// cast are some peers, and a clock.
type cast struct {
	*Peers
	now time.Time
}

func newCast(ids ...string) *cast {
	c := &cast{Peers: NewPeers(), now: time.Unix(1000, 0)}
	for _, id := range ids {
		c.Learn(Record{ID: id}, c.now)
	}
	return c
}

// awaited is how many answers a query waits for, and how many there should be.
func (c *cast) awaited(subscribed int, present ...string) (awaited, all int) {
	e := c.expectation(subscribed, present)
	for _, duty := range e.Peers {
		if duty == Awaited {
			awaited++
		}
		if duty != NoDuty {
			all++
		}
	}
	return awaited + e.Strangers - e.Excused, all + e.Strangers
}

func (c *cast) expectation(subscribed int, present []string) Expectation {
	s := Subscribers{Total: subscribed, Present: present}
	return c.Expect("/", s, s, c.now)
}

func (c *cast) unanswered(strangers, subscribed int, named []string, present ...string) {
	c.Settle("/", c.expectation(subscribed, present), named, strangers, c.now)
}

// count is how many nodes are alive, this one included.
func (c *cast) count() int { return len(c.Alive()) + 1 }

func (c *cast) knows() []string { return slices.Sorted(maps.Keys(c.byID)) }

func TestPeers_JoinLeaveAndLapse(t *testing.T) {
	c := newCast()
	learn := func(r Record, wantJoined, wantGone bool) {
		t.Helper()
		if joined, gone := c.Learn(r, c.now); joined != wantJoined || gone != wantGone {
			t.Errorf("%+v: joined %v, gone %v", r, joined, gone)
		}
	}
	learn(Record{ID: "a"}, true, false)
	learn(Record{ID: "a", Deaf: true}, false, false)
	learn(Record{ID: "b"}, true, false)
	if n := c.count(); n != 3 {
		t.Errorf("%d nodes", n)
	}
	learn(Record{ID: "a", Left: true}, false, true)
	learn(Record{ID: "a", Left: true}, false, false)
	learn(Record{ID: "unknown", Left: true}, false, false)
	if !c.Lose("b", c.now) || c.Lose("b", c.now) || c.Lose("unknown", c.now) {
		t.Error("a node lapses once")
	}
	if n := c.count(); n != 1 {
		t.Errorf("%d nodes", n)
	}
	learn(Record{ID: "b"}, true, false)
	c.now = c.now.Add(ghostTime)
	c.expire(c.now)
	if known := c.knows(); !slices.Equal(known, []string{"b"}) {
		t.Errorf("remembers %q", known)
	}
}

// A node that is missing from a list that was read whole may only have to write its record again.
func TestPeers_MissingFromTheListIsGoneAfterAWhile(t *testing.T) {
	c := newCast("a", "b")
	if joined := c.replace([]Record{{ID: "b"}, {ID: "c"}}, c.now); len(joined) != 1 || joined[0].ID != "c" {
		t.Errorf("joined %v", joined)
	}
	c.now = c.now.Add(heartbeatExpiry - 1)
	if gone := c.expire(c.now); gone != nil || c.count() != 4 {
		t.Errorf("gone %v, %d nodes", gone, c.count())
	}
	if awaited, all := c.awaited(1, "a"); awaited != 1 || all != 1 {
		t.Errorf("awaits %d of %d", awaited, all)
	}
	c.now = c.now.Add(1)
	if gone := c.expire(c.now); len(gone) != 1 || gone[0] != "a" || c.count() != 3 {
		t.Errorf("gone %v, %d nodes", gone, c.count())
	}
	c.replace(nil, c.now)
	if joined, _ := c.Learn(Record{ID: "b"}, c.now); joined {
		t.Error("a node that was not gone joined")
	}
}

func TestPeers_TagsAreFoundWithTheirNodes(t *testing.T) {
	c := newCast()
	c.Learn(Record{ID: "a", Tags: []string{"TAGa"}}, c.now)
	c.Learn(Record{ID: "b", Tags: []string{"TAGb", "TAGa"}}, c.now)
	c.Learn(Record{ID: "c", Tags: []string{"TAGa"}, Left: true}, c.now)
	for tag, want := range map[string]int{"TAGa": 2, "TAGb": 1, "TAGc": 0} {
		if got := c.withTag(tag); len(got) != want {
			t.Errorf("%s belongs to %v", tag, got)
		}
	}
	c.Lose("a", c.now)
	if got := c.withTag("TAGa"); len(got) != 1 || got[0].ID != "b" {
		t.Errorf("belongs to %v", got)
	}
}

func TestPeers_ExpectsWhatSubscribes(t *testing.T) {
	c := newCast("a", "b", "c")
	// a and b have the namespace, and so do two nodes of another kind.
	if awaited, all := c.awaited(4, "a", "b"); awaited != 4 || all != 4 {
		t.Errorf("awaits %d of %d", awaited, all)
	}
	if awaited, all := c.awaited(0); awaited != 0 || all != 0 {
		t.Errorf("awaits %d of %d", awaited, all)
	}
}

// The machine is gone, and Redis has not noticed.
func TestPeers_ConnectionWithoutHeartbeatsIsNotExpected(t *testing.T) {
	c := newCast("a", "b")
	c.Lose("a", c.now)
	if awaited, all := c.awaited(2, "a", "b"); awaited != 1 || all != 1 {
		t.Errorf("awaits %d of %d", awaited, all)
	}
}

func TestPeers_LargerNumberOfStrangersCounts(t *testing.T) {
	for name, test := range map[string]struct {
		before, after Subscribers
		strangers     int
	}{
		"same":                     {Subscribers{Total: 2}, Subscribers{Total: 2}, 2},
		"one went":                 {Subscribers{Total: 2}, Subscribers{Total: 1}, 2},
		"one came":                 {Subscribers{Total: 1}, Subscribers{Total: 2}, 2},
		"a peer went":              {Subscribers{Total: 2, Present: []string{"a"}}, Subscribers{Total: 1}, 1},
		"a peer came":              {Subscribers{Total: 1}, Subscribers{Total: 2, Present: []string{"a"}}, 1},
		"a peer was half there":    {Subscribers{Total: 2}, Subscribers{Total: 2, Present: []string{"a"}}, 1},
		"a peer is half there":     {Subscribers{Total: 1}, Subscribers{Total: 2}, 2},
		"more peers than counted":  {Subscribers{}, Subscribers{Present: []string{"a", "b"}}, 0},
		"a stranger took its seat": {Subscribers{Total: 1, Present: []string{"a"}}, Subscribers{Total: 1}, 1},
	} {
		c := newCast("a", "b")
		if e := c.Expect("/", test.before, test.after, c.now); e.Strangers != test.strangers {
			t.Errorf("%s: %d strangers, want %d", name, e.Strangers, test.strangers)
		}
	}
}

func TestPeers_CutOffOrDeafIsMissingAndNotAwaited(t *testing.T) {
	c := newCast("a", "b")
	c.Learn(Record{ID: "b", Deaf: true}, c.now)
	s := Subscribers{Total: 1, Present: []string{"b"}, CutOff: []string{"a"}}
	e := c.Expect("/", s, s, c.now)
	if e.Peers["a"] != Owes || e.Peers["b"] != Owes || e.Strangers != 0 {
		t.Errorf("expects %+v", e)
	}
}

func TestPeers_SilentNodeIsNotAwaitedForAWhileButMissing(t *testing.T) {
	c := newCast("a", "b")
	c.unanswered(0, 2, []string{"a"}, "a", "b")
	c.now = c.now.Add(Silence - time.Second)
	if awaited, all := c.awaited(2, "a", "b"); awaited != 1 || all != 2 {
		t.Errorf("awaits %d of %d", awaited, all)
	}
	c.unanswered(0, 2, []string{"a"}, "a", "b") // not waited for: no new Silence
	c.now = c.now.Add(time.Second)
	if awaited, _ := c.awaited(2, "a", "b"); awaited != 2 {
		t.Errorf("awaits %d after the Silence", awaited)
	}
	c.unanswered(0, 2, []string{"a"}, "a", "b")
	c.Answered("a")
	if awaited, _ := c.awaited(2, "a", "b"); awaited != 2 {
		t.Errorf("awaits %d once it has spoken", awaited)
	}
}

func TestPeers_SilentStrangersAreExcusedByNumber(t *testing.T) {
	c := newCast()
	c.unanswered(1, 3, nil)
	if awaited, all := c.awaited(3); awaited != 2 || all != 3 {
		t.Errorf("awaits %d of %d", awaited, all)
	}
	if awaited, all := c.awaited(5); awaited != 4 || all != 5 {
		t.Errorf("two more: awaits %d of %d", awaited, all)
	}
	if awaited, all := c.awaited(2); awaited != 2 || all != 2 {
		t.Errorf("one less: awaits %d of %d", awaited, all)
	}
	s := Subscribers{Total: 3}
	if e := c.Expect("/other", s, s, c.now); e.Excused != 0 {
		t.Errorf("%d excused in another namespace", e.Excused)
	}
	c.now = c.now.Add(Silence)
	if awaited, _ := c.awaited(3); awaited != 3 {
		t.Errorf("awaits %d after the Silence", awaited)
	}
	c.unanswered(2, 3, nil)
	c.unanswered(0, 3, nil) // all have answered
	if awaited, _ := c.awaited(3); awaited != 3 {
		t.Errorf("awaits %d once all have answered", awaited)
	}
}
