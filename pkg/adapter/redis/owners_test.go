package redis_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

func (n *node) owners(tag string) []string {
	n.t.Helper()
	addresses, err := n.Owners(n.t.Context(), tag)
	if err != nil {
		n.t.Error(err)
	}
	slices.Sort(addresses)
	return addresses
}

func TestOwners_AreKnownByTheirRecords(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	first := readyNode(t, s, redis.Config{NodeID: "first", Tag: "TAGa", PeerAddress: func() string { return "http://first" }})
	second := readyNode(t, s, redis.Config{NodeID: "second", Tag: "TAGa", PeerAddress: func() string { return "http://second" }})
	third := readyNode(t, s, redis.Config{NodeID: "third", Tag: "TAGc"}) // cannot be reached
	tag := second.awaitTag("TAGa")
	if got := second.Tags(); !slices.Equal(got, []string{tag, "TAGa"}) {
		t.Errorf("the second has %q", got)
	}
	eventually(t, "a shared tag", func() bool {
		return slices.Equal(third.owners("TAGa"), []string{"http://first", "http://second"})
	})
	for _, test := range []struct {
		n    *node
		tag  string
		want []string
	}{
		{third, tag, []string{"http://second"}},
		{second, "TAGa", []string{"http://first"}},
		{first, "TAGa", []string{"http://second"}},
		{third, "TAGc", nil},
		{first, "TAGc", nil},
		{first, "none", nil},
		{first, "too long", nil},
		{first, "", nil},
	} {
		eventually(t, "owners of "+test.tag, func() bool { return slices.Equal(test.n.owners(test.tag), test.want) })
	}
	second.end()
	eventually(t, "one left", func() bool { return slices.Equal(third.owners("TAGa"), []string{"http://first"}) })
}

// enterNewNode makes Redis know a node with the tag TAGn that no other node has seen in a heartbeat yet.
func (s *server) enterNewNode() {
	s.command("SET", "carillon:{nodes}:id:new", `{"id":"new","tags":["TAGn"],"address":"http://new"}`)
	s.command("SET", tagKey("TAGn"), "new")
}

// A node that joined since the last heartbeat is found by its tag at once.
func TestOwners_UnknownTagIsLookedUp(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{})
	s.enterNewNode()
	if got := n.owners("TAGn"); !slices.Equal(got, []string{"http://new"}) {
		t.Errorf("belongs to %q", got)
	}
	s.command("SET", tagKey("TAGx"), "gone")
	if got := n.owners("TAGx"); got != nil {
		t.Errorf("belongs to %q", got)
	}
}

// Guesses cost Redis little.
func TestOwners_LookUpsAreBounded(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{})
	s.command("CONFIG", "RESETSTAT")
	for i := range 5000 {
		if got := n.owners(fmt.Sprintf("%04d", i)); got != nil {
			t.Fatalf("belongs to %q", got)
		}
	}
	if got := s.info("commandstats", `cmdstat_get:calls=(\d+)`); got > 2500 {
		t.Errorf("%v look-ups for 5000 guesses", got)
	}
}

// The clients of a node that was killed come to the others all at once.
func TestOwners_ATagOfNoNodeIsNotLookedUpAgain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{})
	s.enterNewNode()
	for range 1000 {
		if got := n.owners("TAGx"); got != nil {
			t.Fatalf("belongs to %q", got)
		}
	}
	if got := n.owners("TAGn"); !slices.Equal(got, []string{"http://new"}) {
		t.Errorf("the tag of a new node belongs to %q", got)
	}
}

// A new node's clients may send any number of requests before its record is known.
func TestOwners_ATagThatWasFoundIsNotLookedUpAgain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{})
	s.enterNewNode()
	for i := range 1000 {
		if got := n.owners("TAGn"); !slices.Equal(got, []string{"http://new"}) {
			t.Fatalf("request %d: belongs to %q", i, got)
		}
	}
}
