package redis_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/emitter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

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

// asked is the request timeout of nodes that wait for it once: a query that takes less has not.
const asked = 4 * time.Second

func TestAsk_SilentSubscriberCostsOneTimeout(t *testing.T) {
	t.Parallel()
	inEachDialect(t, func(t *testing.T, s *server, config func() redis.Config) {
		cfg := config()
		cfg.RequestTimeout = asked
		n := readyNode(t, s, cfg)
		other := readyNode(t, s, config())
		other.answersRooms("red")
		n.knows(2)
		switch { // takes requests and never answers
		case cfg.Sharding != nil:
			s.listenSharded("socket.io#/#")
		case cfg.Streams != nil:
			s.listen("socket.io#/#")
		default:
			s.listen(requests)
		}
		for i := range 10 {
			answers, missing, took := n.ask()
			if !slices.Equal(answers, []string{"red"}) || !slices.Equal(missing, []string{"?"}) {
				t.Errorf("answers %q, missing %q", answers, missing)
			}
			if waited := took >= asked; waited != (i == 0) {
				t.Errorf("query %d took %s", i, took)
			}
		}
	})
}

func TestAsk_StuckGatewayCostsOneTimeoutAndIsNamed(t *testing.T) {
	t.Parallel()
	inEachDialect(t, func(t *testing.T, s *server, config func() redis.Config) {
		started := func(id string) *node {
			cfg := config()
			cfg.NodeID, cfg.RequestTimeout = id, asked
			return readyNode(t, s, cfg)
		}
		n, good, stuck := started("asker"), started("good"), started("stuck")
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
			if waited := took >= asked; waited != (i == 0) {
				t.Errorf("query %d took %s", i, took)
			}
		}
		unstick() // its late answers say that it is back
		eventually(t, "waited for again", func() bool {
			answers, missing, _ := n.ask()
			return slices.Equal(answers, []string{"blue", "red"}) && len(missing) == 0
		})
	})
}

// TestAsk_ProcessesThatOnlyPublishOrListenDelayNothing: an emitter with its connection, one that listens to events, and
// a node of ours that does not have the namespace.
func TestAsk_ProcessesThatOnlyPublishOrListenDelayNothing(t *testing.T) {
	t.Parallel()
	inEachDialect(t, func(t *testing.T, s *server, config func() redis.Config) {
		cfg := config()
		cfg.RequestTimeout = asked
		n, other, elsewhere := readyNode(t, s, cfg), readyNode(t, s, config()), readyNode(t, s, config())
		other.answersRooms("red")
		if err := emitter.New(s.client(), emitter.Config{}).Emit(t.Context(), "event"); err != nil {
			t.Fatal(err)
		}
		if cfg.Streams == nil { // with streams, what listens to this channel counts as asked
			s.listen("socket.io#/#")
		}
		eventually(t, "all have the namespace", func() bool { return s.asked(cfg) == 3 })
		elsewhere.Close("/")
		eventually(t, "one has not", func() bool { return s.asked(cfg) == 2 })
		n.knows(3)
		answers, missing, took := n.ask()
		if !slices.Equal(answers, []string{"red"}) || len(missing) != 0 || took >= asked {
			t.Errorf("answers %q, missing %q after %s", answers, missing, took)
		}
	})
}

func TestAsk_MoreAnswersThanItsCallerTakesAreCounted(t *testing.T) {
	t.Parallel()
	const bound = 10_000
	s := startServer(t)
	n := readyNode(t, s, redis.Config{})
	foreign := s.listen(requests)
	begun, over := make(chan struct{}), make(chan struct{})
	taken := 0
	go func() {
		defer close(over)
		_, err := n.Ask(t.Context(), adapter.AllRooms{Namespace: "/"}, func(adapter.Reply) {
			if taken++; taken == 1 {
				begun <- struct{}{}
				<-begun
			}
		})
		if err != nil {
			t.Error(err)
		}
	}()
	answer := fmt.Sprintf(`{"requestId":%q,"rooms":[]}`, decodeJSON(t, <-foreign)["requestId"])
	s.publishRaw("socket.io-response#/#", answer)
	<-begun
	flood := s.client().Pipeline()
	for range bound + 3 {
		flood.Publish(t.Context(), "socket.io-response#/#", answer)
	}
	if _, err := flood.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "counted", func() bool { return n.metric("redis_receive_dropped_total", "reason", "overflow") == 3 })
	begun <- struct{}{}
	<-over
}

func TestAsk_NodeThatLeftIsNotMissing(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{RequestTimeout: asked})
	good, leaver := readyNode(t, s, redis.Config{}), readyNode(t, s, redis.Config{})
	good.answersRooms("red")
	leaver.answersRooms("blue")
	n.knows(3)
	leaver.end()
	for range 3 {
		answers, missing, took := n.ask()
		if !slices.Equal(answers, []string{"red"}) || len(missing) != 0 || took >= asked {
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
	if err != nil || !slices.Equal(missing, []string{"leaver"}) || time.Since(started) >= question.Timeout {
		t.Errorf("missing %q after %s, %v", missing, time.Since(started), err)
	}
}

func TestAsk_SilentNodeDoesNotHoldUpLongBroadcasts(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{RequestTimeout: 2 * time.Second})
	s.listen(requests)
	question := adapter.BroadcastAsk{
		Broadcast: adapter.Broadcast{Namespace: "/", Args: packet.Args{JSON: []byte(`["q"]`)}},
		Timeout:   time.Minute,
	}
	started := time.Now()
	missing, err := n.Ask(t.Context(), question, func(adapter.Reply) {})
	if err != nil || !slices.Equal(missing, []string{"?"}) || time.Since(started) >= question.Timeout {
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
	s.fakeNode("vanished", `{"id":"vanished"}`)
	n.knows(2)
	if _, missing, _ := n.ask(); !slices.Equal(missing, []string{"vanished"}) {
		t.Errorf("missing %q", missing)
	}
	n.knows(1)
	if _, missing, took := n.ask(); len(missing) != 0 || took >= asked {
		t.Errorf("missing %q after %s", missing, took)
	}
	if got := s.command("ZRANGE", "carillon:{nodes}", 0, -1).Val().([]any); len(got) != 1 {
		t.Errorf("list of nodes %v", got)
	}
}
