package redis_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// knows waits until a node knows that there are so many.
func (n *node) knows(nodes int) {
	n.t.Helper()
	eventually(n.t, "knows the others", func() bool { return n.metric("redis_nodes") == float64(nodes) })
}

// ask returns the answers to a question about rooms, who is missing, and how long it took.
func (n *node) ask() (answers []string, missing []string, took time.Duration) {
	n.t.Helper()
	started := time.Now()
	missing, err := n.Ask(context.Background(), adapter.AllRooms{Namespace: "/"}, func(r adapter.Reply) {
		answers = append(answers, r.(adapter.RoomNames)...)
	})
	if err != nil {
		n.t.Errorf("ask: %v", err)
	}
	slices.Sort(answers)
	return answers, missing, time.Since(started)
}

// answersRooms makes a node answer with one room.
func (n *node) answersRooms(room string) {
	n.answers(func(_ adapter.Query, reply func(adapter.Reply)) { reply(adapter.RoomNames{room}) })
}

func TestHeartbeat_TellsWhoIsThereAndExpires(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := readyNode(t, s, redis.Config{NodeID: "a", Tag: "TAGa", Version: "1.2.3"})
	b := readyNode(t, s, redis.Config{NodeID: "b"})
	a.knows(2)
	b.knows(2)
	if got := s.command("GET", "carillon:{nodes}:id:a").Val(); got != `{"id":"a","tag":"TAGa","version":"1.2.3"}` {
		t.Errorf("heartbeat %v", got)
	}
	if got := s.command("GET", "carillon:{nodes}:tag:TAGa").Val(); got != "a" {
		t.Errorf("tag claimed by %v", got)
	}
	keys := s.command("KEYS", "*").Val().([]any)
	for _, key := range keys {
		if ttl := s.command("PTTL", key).Val().(int64); ttl <= 0 || !strings.HasPrefix(key.(string), "carillon:{nodes}") {
			t.Errorf("%v expires in %d ms", key, ttl)
		}
	}
	b.end()
	a.knows(1)
	if keys := s.command("KEYS", "*:tag:*").Val().([]any); len(keys) != 1 {
		t.Errorf("tags %v", keys)
	}
	a.end()
	if keys := s.command("KEYS", "*:tag:*").Val().([]any); len(keys) != 0 {
		t.Errorf("tags after leaving: %v", keys)
	}
}

func TestHeartbeat_ComesBackAfterRedisLostEverything(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := readyNode(t, s, redis.Config{NodeID: "a", Tag: "TAGa"})
	b := readyNode(t, s, redis.Config{NodeID: "b", Tag: "TAGb"})
	a.knows(2)
	b.knows(2)
	s.stop()
	s.start()
	eventually(t, "both are back", func() bool {
		return len(s.command("KEYS", "carillon:{nodes}:*:*").Val().([]any)) == 4
	})
	if a.metric("redis_nodes") != 2 || a.metric("redis_tag_conflicts_total")+b.metric("redis_tag_conflicts_total") != 0 {
		t.Error("a restart counts as nodes leaving, or as a conflict")
	}
}

// asked is a request timeout long enough that half of it is never taken by a slow machine.
const asked = 4 * time.Second

func TestAsk_SilentSubscriberCostsOneTimeout(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{RequestTimeout: asked})
	other := readyNode(t, s, redis.Config{NodeID: "other"})
	other.answersRooms("red")
	n.knows(2)
	s.listen(requests) // takes requests and never answers
	answers, missing, took := n.ask()
	if took < asked/2 || !slices.Equal(answers, []string{"red"}) || !slices.Equal(missing, []string{"?"}) {
		t.Errorf("answers %q, missing %q after %s", answers, missing, took)
	}
	for range 10 {
		answers, missing, took = n.ask()
		if took > asked/2 || !slices.Equal(answers, []string{"red"}) || !slices.Equal(missing, []string{"?"}) {
			t.Errorf("answers %q, missing %q after %s", answers, missing, took)
		}
	}
}

func TestAsk_StuckGatewayCostsOneTimeoutAndIsNamed(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{RequestTimeout: asked})
	good := readyNode(t, s, redis.Config{NodeID: "good"})
	stuck := readyNode(t, s, redis.Config{NodeID: "stuck"})
	good.answersRooms("red")
	release := make(chan struct{})
	unstick := sync.OnceFunc(func() { close(release) })
	t.Cleanup(unstick)
	stuck.answers(func(_ adapter.Query, reply func(adapter.Reply)) {
		<-release
		reply(adapter.RoomNames{"blue"})
	})
	n.knows(3)
	for i := range 10 {
		answers, missing, took := n.ask()
		if !slices.Equal(answers, []string{"red"}) || !slices.Equal(missing, []string{"stuck"}) {
			t.Errorf("answers %q, missing %q", answers, missing)
		}
		if i > 0 && took > asked/2 {
			t.Errorf("query %d took %s", i, took)
		}
	}
	unstick() // its late answers say that it is back
	eventually(t, "waited for again", func() bool {
		answers, missing, _ := n.ask()
		return slices.Equal(answers, []string{"blue", "red"}) && len(missing) == 0
	})
}

func TestAsk_NodeThatLeftIsNotMissing(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{RequestTimeout: 5 * time.Second})
	good, leaver := readyNode(t, s, redis.Config{}), readyNode(t, s, redis.Config{})
	good.answersRooms("red")
	leaver.answersRooms("blue")
	n.knows(3)
	leaver.end()
	for range 3 {
		answers, missing, took := n.ask()
		if !slices.Equal(answers, []string{"red"}) || len(missing) != 0 || took > 2*time.Second {
			t.Errorf("answers %q, missing %q after %s", answers, missing, took)
		}
	}
}

// TestAsk_AcknowledgementsOfANodeThatLeavesAreNotWaitedFor: it has announced one, and goes.
func TestAsk_AcknowledgementsOfANodeThatLeavesAreNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{})
	leaver := readyNode(t, s, redis.Config{NodeID: "leaver"})
	leaver.answers(func(_ adapter.Query, reply func(adapter.Reply)) { reply(adapter.Count(1)) })
	n.knows(2)
	announced := make(chan struct{})
	go func() {
		<-announced
		leaver.end()
	}()
	question := adapter.BroadcastAsk{
		Broadcast: adapter.Broadcast{Namespace: "/", Args: packet.Args{JSON: []byte(`["q"]`)}},
		Timeout:   time.Minute,
	}
	started := time.Now()
	missing, err := n.Ask(t.Context(), question, func(adapter.Reply) { close(announced) })
	if err != nil || !slices.Equal(missing, []string{"leaver"}) || time.Since(started) > 15*time.Second {
		t.Errorf("missing %q after %s, %v", missing, time.Since(started), err)
	}
}

func TestAsk_SilentNodeDoesNotHoldUpLongBroadcasts(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{RequestTimeout: 300 * time.Millisecond})
	s.listen(requests)
	question := adapter.BroadcastAsk{
		Broadcast: adapter.Broadcast{Namespace: "/", Args: packet.Args{JSON: []byte(`["q"]`)}},
		Timeout:   time.Minute,
	}
	started := time.Now()
	missing, err := n.Ask(t.Context(), question, func(adapter.Reply) {})
	if err != nil || !slices.Equal(missing, []string{"?"}) || time.Since(started) > 10*time.Second {
		t.Errorf("missing %q after %s, %v", missing, time.Since(started), err)
	}
}

// TestAsk_VanishedMachineStopsCountingWithItsHeartbeats: its connection stays with Redis, its heartbeats stop.
func TestAsk_VanishedMachineStopsCountingWithItsHeartbeats(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{RequestTimeout: asked})
	for _, channel := range []string{requests, fmt.Sprintf("socket.io-response#/#%s#", "vanished")} {
		s.listen(channel)
	}
	s.command("SET", "carillon:{nodes}:id:vanished", `{"id":"vanished"}`, "PX", 8000)
	s.command("SADD", "carillon:{nodes}", "vanished")
	n.knows(2)
	if _, missing, _ := n.ask(); !slices.Equal(missing, []string{"vanished"}) {
		t.Errorf("missing %q", missing)
	}
	n.knows(1)
	if _, missing, took := n.ask(); len(missing) != 0 || took > asked/2 {
		t.Errorf("missing %q after %s", missing, took)
	}
	if got := s.command("SMEMBERS", "carillon:{nodes}").Val().([]any); len(got) != 1 {
		t.Errorf("list of nodes %v", got)
	}
}
