package redis_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

func tagKey(tag string) string { return "carillon:{nodes}:tag:" + tag }

// awaitTag waits until a node's ids begin otherwise than with old, and returns with what.
func (n *node) awaitTag(old string) string {
	n.t.Helper()
	eventually(n.t, "another tag", func() bool { return n.Tag() != old })
	return n.Tag()
}

// patterns is how many different ones are subscribed at all.
func (s *server) patterns() int { return int(s.command("PUBSUB", "NUMPAT").Val().(int64)) }

func TestTag_TakenOneIsDrawnAgainAndBothAreHeard(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	first := readyNode(t, s, redis.Config{NodeID: "first", Tag: "TAGa"})
	eventually(t, "claimed", func() bool { return s.client().Get(t.Context(), tagKey("TAGa")).Val() == "first" })
	second := newNode(t, s, redis.Config{NodeID: "second", Tag: "TAGa"})
	if got := second.Tag(); got != "TAGa" {
		t.Errorf("begins with %q", got)
	}
	tag := second.awaitTag("TAGa")
	if len(tag) != 4 || strings.Trim(tag, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("drew %q", tag)
	}
	for tag, holder := range map[string]string{"TAGa": "first", tag: "second"} {
		if got := s.command("GET", tagKey(tag)).Val(); got != holder {
			t.Errorf("%s belongs to %v instead of %s", tag, got, holder)
		}
	}
	if got := second.metric("redis_tag_conflicts_total"); got != 1 {
		t.Errorf("%v conflicts counted", got)
	}
	if got := first.metric("redis_tag_conflicts_total"); got != 0 || first.Tag() != "TAGa" {
		t.Errorf("the holder has %q, and counts %v conflicts", first.Tag(), got)
	}

	// A socket from before, one from now, and one of the first node.
	before, now, foreign := "TAGa0123456789abcdef", tag+"0123456789abcdef", "TAGaaaaaaaaaaaaaaaaa"
	second.join(before, now)
	if got := s.patterns(); got != 2 {
		t.Errorf("%d patterns", got)
	}
	if got := s.subscribers("socket.io#/#" + now + "#"); got != 0 {
		t.Error("a covered room is subscribed by name")
	}
	first.mustPublish(broadcast(`["before"]`, before))
	first.mustPublish(broadcast(`["foreign"]`, foreign))
	first.mustPublish(broadcast(`["now"]`, now))
	first.mustPublish(broadcast(`["all"]`))
	second.awaitHeard(`["before"]`, `["now"]`, `["all"]`)

	eventually(t, "heartbeat names the new one", func() bool {
		return strings.Contains(s.command("GET", "carillon:{nodes}:id:second").Val().(string), tag)
	})
	second.end()
	if got := s.client().Get(context.Background(), tagKey(tag)).Val(); got != "" {
		t.Errorf("after leaving %s belongs to %q", tag, got)
	}
	if got := s.command("GET", tagKey("TAGa")).Val(); got != "first" {
		t.Errorf("after the second left TAGa belongs to %v", got)
	}
}

// TestTag_LostLaterIsDrawnAgainAFewTimes: a node that Redis has not heard of for too long finds its tag gone.
func TestTag_LostLaterIsDrawnAgainAFewTimes(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n, other := readyNode(t, s, redis.Config{NodeID: "n", Tag: "TAGa"}), readyNode(t, s, redis.Config{})
	lose := func(tag string) { s.command("SET", tagKey(tag), "somebody", "PX", 60_000) }
	all := []string{"TAGa"}
	for range 3 {
		tag := all[len(all)-1]
		eventually(t, "claimed", func() bool { return s.client().Get(t.Context(), tagKey(tag)).Val() == "n" })
		lose(tag)
		all = append(all, n.awaitTag(tag))
	}
	for i, tag := range all {
		own := tag + "0123456789abcdef"
		n.join(own)
		other.mustPublish(broadcast(numbered("x", i), own))
	}
	n.awaitHeard(numbered("x", 0), numbered("x", 1), numbered("x", 2), numbered("x", 3))
	if got := s.patterns(); got != 4 {
		t.Errorf("%d patterns", got)
	}

	// Patterns are few. The node keeps the last, and what it drew in vain is free.
	lose(n.Tag())
	eventually(t, "counted", func() bool { return n.metric("redis_tag_conflicts_total") == 4 })
	other.mustPublish(broadcast(`["still"]`, all[3]+"0123456789abcdef"))
	eventually(t, "heard", func() bool { return len(n.heard()) == 5 })
	if got := s.patterns(); got != 4 || n.Tag() != all[3] {
		t.Errorf("%d patterns, tag %s instead of %s", got, n.Tag(), all[3])
	}
}

func TestTag_WithShardedChannelsIsDrawnAgainToo(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.command("SET", tagKey("TAGa"), "somebody", "PX", 60_000)
	for name, classic := range map[string]bool{"sharded alone": false, "with classic emitters": true} {
		n := newNode(t, s, redis.Config{Tag: "TAGa", Sharding: &redis.Sharding{ClassicEmitters: classic}})
		tag := n.awaitTag("TAGa")
		if got := s.command("GET", tagKey(tag)).Val(); got == "" {
			t.Errorf("%s: %s is not claimed", name, tag)
		}
	}
}

// TestTag_TwentyThousandSocketsCostOnePattern: their own rooms are not subscribed one by one, in whatever namespace.
func TestTag_TwentyThousandSocketsCostOnePattern(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n, other := readyNode(t, s, redis.Config{Tag: "TAGa"}), readyNode(t, s, redis.Config{})
	n.Open("/chat")
	n.join()
	channels := func() int { return len(s.command("PUBSUB", "CHANNELS").Val().([]any)) }
	before := channels()
	ids := make([]string, 20_000)
	for i := range ids {
		ids[i] = fmt.Sprintf("TAGa%016d", i)
	}
	n.join(ids...)
	n.Touch("/chat", ids...)
	n.join("red") // everything touched before has been looked at
	if got := channels(); got != before+1 {
		t.Errorf("%d channels instead of %d", got, before+1)
	}
	if got := s.patterns(); got != 1 {
		t.Errorf("%d patterns", got)
	}
	other.mustPublish(broadcast(`["one"]`, ids[12_345]))
	n.awaitHeard(`["one"]`)
}
