package redis

import (
	"slices"
	"testing"
	"time"
)

// cast is a roster with some peers, and a clock.
type cast struct {
	*roster
	now time.Time
}

func newCast(peers ...string) *cast {
	c := &cast{roster: newRoster(), now: time.Unix(1000, 0)}
	c.beat(peers...)
	return c
}

func (c *cast) beat(peers ...string) (joined, gone []string) {
	members := make([]member, len(peers))
	for i, id := range peers {
		members[i] = member{ID: id}
	}
	in, out := c.heard(members, c.now)
	return ids(in), ids(out)
}

func ids(members []member) []string {
	var ids []string
	for _, m := range members {
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	return ids
}

// knows are the ids of all peers, alive or not.
func (c *cast) knows() []string {
	all, _ := c.known(c.now)
	return ids(all)
}

// awaited is how many answers a query waits for, and how many there should be.
func (c *cast) awaited(subscribers int, present ...string) (awaited, all int) {
	e := c.expect("/", subscribers, present, nil, c.now)
	for _, yes := range e.named {
		if yes {
			awaited++
		}
	}
	return awaited + e.others - e.excused, len(e.named) + e.others
}

func (c *cast) unanswered(others, subscribers int, named []string, present ...string) {
	e := c.expect("/", subscribers, present, nil, c.now)
	c.silent("/", e, named, others, c.now)
}

func TestRoster_NodeIsGoneWhenItsHeartbeatsHaveStoppedOrItLeft(t *testing.T) {
	c := newCast()
	if joined, _ := c.beat("a", "b"); !slices.Equal(joined, []string{"a", "b"}) {
		t.Errorf("joined %q", joined)
	}
	c.now = c.now.Add(heartbeatExpiry / 2)
	if joined, gone := c.beat("b"); joined != nil || gone != nil { // a has only missed some
		t.Errorf("joined %q, gone %q", joined, gone)
	}
	c.now = c.now.Add(heartbeatExpiry / 2)
	if _, gone := c.beat("b"); !slices.Equal(gone, []string{"a"}) {
		t.Errorf("gone %q", gone)
	}
	if joined, _ := c.beat("a", "b"); !slices.Equal(joined, []string{"a"}) {
		t.Errorf("joined again %q", joined)
	}
	if n := c.count(c.now); n != 3 {
		t.Errorf("%d nodes", n)
	}
	_, gone := c.heard([]member{{ID: "a"}, {ID: "b", Left: true}, {ID: "c", Left: true}}, c.now)
	if !slices.Equal(ids(gone), []string{"b"}) || c.count(c.now) != 2 {
		t.Errorf("left %q, %d nodes", ids(gone), c.count(c.now))
	}
}

func TestRoster_ExpectsWhoSubscribes(t *testing.T) {
	c := newCast("a", "b", "c")
	// a and b have the namespace, and so do two nodes of another kind.
	if awaited, all := c.awaited(4, "a", "b"); awaited != 4 || all != 4 {
		t.Errorf("awaits %d of %d", awaited, all)
	}
	if awaited, all := c.awaited(0); awaited != 0 || all != 0 {
		t.Errorf("awaits %d of %d", awaited, all)
	}
}

// TestRoster_ConnectionWithoutHeartbeatsIsNobody: the machine is gone, and Redis has not noticed.
func TestRoster_ConnectionWithoutHeartbeatsIsNobody(t *testing.T) {
	c := newCast("a", "b")
	c.now = c.now.Add(heartbeatExpiry)
	c.beat("b")
	if awaited, all := c.awaited(2, "a", "b"); awaited != 1 || all != 1 {
		t.Errorf("awaits %d of %d", awaited, all)
	}
	c.now = c.now.Add(ghostTime)
	c.beat("b")
	if known := c.knows(); !slices.Equal(known, []string{"b"}) {
		t.Errorf("remembers %q", known)
	}
}

func TestRoster_SilentNodeIsNotAwaitedForAWhileButMissing(t *testing.T) {
	c := newCast("a", "b")
	c.unanswered(0, 2, []string{"a"}, "a", "b")
	c.now = c.now.Add(silence - time.Second)
	c.beat("a", "b")
	if awaited, all := c.awaited(2, "a", "b"); awaited != 1 || all != 2 {
		t.Errorf("awaits %d of %d", awaited, all)
	}
	c.unanswered(0, 2, []string{"a"}, "a", "b") // not waited for: no new silence
	c.now = c.now.Add(time.Second)
	c.beat("a", "b")
	if awaited, _ := c.awaited(2, "a", "b"); awaited != 2 {
		t.Errorf("awaits %d after the silence", awaited)
	}
	c.unanswered(0, 2, []string{"a"}, "a", "b")
	c.answered("a")
	if awaited, _ := c.awaited(2, "a", "b"); awaited != 2 {
		t.Errorf("awaits %d once it has spoken", awaited)
	}
}

func TestRoster_SilentNodesWithoutNameAreExcusedByNumber(t *testing.T) {
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
	if e := c.expect("/other", 3, nil, nil, c.now); e.excused != 0 {
		t.Errorf("%d excused in another namespace", e.excused)
	}
	c.now = c.now.Add(silence)
	if awaited, _ := c.awaited(3); awaited != 3 {
		t.Errorf("awaits %d after the silence", awaited)
	}
	c.unanswered(2, 3, nil)
	c.unanswered(0, 3, nil) // all have answered
	if awaited, _ := c.awaited(3); awaited != 3 {
		t.Errorf("awaits %d once all have answered", awaited)
	}
}
