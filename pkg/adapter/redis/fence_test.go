package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/emitter"
)

// lanes confirms rooms that the node holds.
func (n *node) lanes(names ...string) []adapter.Lane {
	n.t.Helper()
	type result struct {
		lanes []adapter.Lane
		err   error
	}
	confirmed := make(chan result, 1)
	n.Fencer().ConfirmLanes("/", names, func(lanes []adapter.Lane, err error) { confirmed <- result{lanes, err} })
	r := <-confirmed
	if r.err != nil {
		n.t.Fatalf("ConfirmLanes: %v", r.err)
	}
	return r.lanes
}

// fence publishes a fence and returns its outcome.
func (n *node) fence(names ...string) (adapter.Fence, error) {
	done := make(chan error, 1)
	f, _ := n.Fencer().Fence("/", names, func(err error) { done <- err })
	return f, <-done
}

// came are the lanes in which a fence has come.
func (n *node) came(f adapter.Fence) []adapter.Lane {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(slices.Values(n.fences[f]))
}

// follows has a node follow the namespace until the test ends.
func (n *node) follows() { n.t.Cleanup(n.Fencer().Follow("/")) }

// TestFence_SubscriptionLostSinceTheConfirmation: the fence comes, and not in the lanes that were confirmed.
func TestFence_SubscriptionLostSinceTheConfirmation(t *testing.T) {
	t.Parallel()
	inEach(t, subscribing, func(t *testing.T, s *server, config func() redis.Config) {
		cfg := config()
		cfg.Fences = true
		publisher := readyNode(t, s, cfg)
		cfg.NodeID = "waiting"
		waiting := readyNode(t, s, cfg)
		waiting.follows()
		waiting.join("red")
		before := waiting.lanes("red")
		if f, err := publisher.fence("red"); err != nil {
			t.Fatal(err)
		} else {
			eventually(t, "the fence came in the lanes", func() bool { return slices.Equal(waiting.came(f), before) })
		}
		for line := range strings.Lines(s.command("CLIENT", "LIST").Val().(string)) {
			if strings.Contains(line, " name=carillon:waiting:in ") {
				id, _, _ := strings.Cut(line, " ")
				s.command("CLIENT", "KILL", "ID", strings.TrimPrefix(id, "id="))
			}
		}
		eventually(t, "the lanes ended", func() bool { return !waiting.Fencer().Whole(before) })
		after := waiting.lanes("red")
		f, err := publisher.fence("red")
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the fence came in the new lanes", func() bool { return slices.Equal(waiting.came(f), after) })
		if slices.ContainsFunc(after, func(l adapter.Lane) bool { return slices.Contains(before, l) }) {
			t.Errorf("lanes %v after %v", after, before)
		}
	})
}

// TestFence_SlotMovedSinceTheConfirmation: a lane ends with the slot, and what is confirmed afterwards holds again.
func TestFence_SlotMovedSinceTheConfirmation(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, false)
	cfg := dynamic()
	cfg.Fences, cfg.RequestTimeout = true, 10*time.Second
	publisher, waiting := readyNodeWith(t, c.client(), cfg), readyNodeWith(t, c.client(), cfg)
	waiting.follows()
	rooms := []string{c.roomAt(0), c.roomAt(1), c.roomAt(2)}
	waiting.join(rooms...)
	before := waiting.lanes(rooms...)
	if len(before) != 3 {
		t.Fatalf("lanes %v at three servers", before)
	}
	f, err := publisher.fence(rooms...)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the fence came in all lanes", func() bool { return slices.Equal(waiting.came(f), slices.Sorted(slices.Values(before))) })
	c.move(redisconn.Slot("socket.io#/#"+rooms[0]+"#"), c.servers[0], c.servers[1])
	eventually(t, "a lane ended", func() bool { return !waiting.Fencer().Whole(before) })
	// The publisher may not know of the move yet. A fence that it takes for whole then misses the lane that is over.
	f, err = publisher.fence(rooms...)
	if err == nil {
		eventually(t, "the fence came at three servers", func() bool { return len(waiting.came(f)) == 3 })
		if came := waiting.came(f); !slices.ContainsFunc(before, func(l adapter.Lane) bool { return !slices.Contains(came, l) }) {
			t.Errorf("a fence after the move came in %v, all lanes from before it", came)
		}
	}
	eventually(t, "whole again", func() bool {
		lanes := waiting.lanes(rooms...)
		f, err := publisher.fence(rooms...)
		if err != nil {
			return false
		}
		late := time.After(cfg.RequestTimeout)
		for {
			came := waiting.came(f)
			if !slices.ContainsFunc(lanes, func(l adapter.Lane) bool { return !slices.Contains(came, l) }) {
				return true
			}
			select {
			case <-late:
				return false
			case <-time.After(time.Millisecond):
			}
		}
	})
}

// TestFence_AtAnotherServerOfAClusterIsNone: classic messages reach the subscribers at every server of a cluster, in no common order.
func TestFence_AtAnotherServerOfAClusterIsNone(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, false)
	// at is a client that takes one server for the one of all slots.
	at := func(master int) *goredis.ClusterClient {
		return c.clientWith(&goredis.ClusterOptions{ClusterSlots: func(context.Context) ([]goredis.ClusterSlot, error) {
			node := goredis.ClusterNode{Addr: c.servers[master].address}
			return []goredis.ClusterSlot{{Start: 0, End: redisconn.Slots - 1, Nodes: []goredis.ClusterNode{node}}}, nil
		}})
	}
	cfg := redis.Config{Fences: true}
	home := c.owner("carillon:{nodes}") // heartbeats are there; go-redis is led to them from elsewhere
	publisher, near, far := readyNodeWith(t, at(home), cfg), readyNodeWith(t, at(home), cfg), readyNodeWith(t, at((home+1)%3), cfg)
	for _, n := range []*node{near, far} {
		n.follows()
		n.join("red")
	}
	lanes := near.lanes("red")
	f, err := publisher.fence("red")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the fence came at the same server", func() bool { return slices.Equal(near.came(f), lanes) })
	eventually(t, "it came at the other one, and is no cut", func() bool { return slices.Equal(far.came(f), []adapter.Lane{0}) })
}

func TestFence_RedisAway(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{Fences: true, RequestTimeout: 300 * time.Millisecond})
	n.join("red")
	lanes := n.lanes("red")
	s.stop()
	if _, err := n.fence("red"); err == nil {
		t.Error("no error without Redis")
	}
	eventually(t, "the lanes ended", func() bool { return !n.Fencer().Whole(lanes) })
	s.start()
	eventually(t, "fences again", func() bool {
		_, err := n.fence("red")
		return err == nil
	})
}

// TestFence_QueueFull: a fence goes with the oldest messages. Redis stands still, so one batch at most leaves the queue, and one
// fence with it.
func TestFence_QueueFull(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{Fences: true, Queue: redis.Queue{Messages: 10}})
	n.join("red")
	s.signal(syscall.SIGSTOP)
	defer s.signal(syscall.SIGCONT)
	outcomes := make(chan error, 2)
	for range 2 {
		n.Fencer().Fence("/", []string{"red"}, func(err error) { outcomes <- err })
		for i := range 30 {
			n.Publish(broadcast(numbered("more", i)), nil)
		}
	}
	if err := <-outcomes; !errors.Is(err, adapter.ErrFull) {
		t.Errorf("the first fence to end ended with %v", err)
	}
}

// TestRoom_OfASocketThatHasMoved is reached by the name of its id, which begins with the tag of the node that it came from: also
// when that tag is another process' by now, and once where the node draws the tag itself.
func TestRoom_OfASocketThatHasMoved(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	const sid = "TAGa0123456789abcdef"
	first := readyNode(t, s, redis.Config{NodeID: "first", Tag: "TAGa"})
	first.join(sid)
	now := readyNode(t, s, redis.Config{NodeID: "now", Tag: "TAGb"})
	now.join(sid)
	e := emitter.New(s.client(), emitter.Config{})
	var want []string
	say := func() {
		t.Helper()
		text := fmt.Sprint("say", len(want))
		if err := e.To(sid).Emit(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprintf(`[%q]`, text))
		now.awaitHeard(want...)
	}
	say()
	first.drop(sid)
	say()
	first.end()
	say()
	later := readyNode(t, s, redis.Config{NodeID: "later", Tag: "TAGa"})
	eventually(t, "claimed", func() bool { return s.client().Get(t.Context(), tagKey("TAGa")).Val() == "later" })
	say()
	later.join("red") // what was published before has been looked at
	if heard := later.heard(); len(heard) > 0 {
		t.Errorf("the tag's new owner heard %q", heard)
	}
	now.join("red")
	later.mustPublish(broadcast(`["last"]`, "red"))
	now.awaitHeard(append(want, `["last"]`)...)
}
