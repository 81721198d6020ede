package redis_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

func TestRun_StartsWithoutRedisAndConnectsWhenItAppears(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	n := newNode(t, s, redis.Config{})
	other := newNode(t, s, redis.Config{})
	n.hold("red")
	published := make(chan error, 1)
	other.Publish(broadcast(`["before"]`), func(err error) { published <- err })
	if state := n.State(); state != (adapter.State{}) {
		t.Errorf("state without Redis: %+v", state)
	}
	s.start()
	eventually(t, "both ready", func() bool { return n.State().Ready && other.State().Ready })
	if err := <-published; err != nil {
		t.Errorf("publish before Redis was there: %v", err)
	}
	if err := n.confirm("red"); err != nil {
		t.Fatal(err)
	}
	other.mustPublish(broadcast(`["after"]`, "red"))
	eventually(t, "hears", func() bool { return slices.Contains(n.heard(), `["after"]`) })
}

func TestConfirm_FailsInTimeWithoutRedis(t *testing.T) {
	t.Parallel()
	n := newNode(t, newServer(t), redis.Config{RequestTimeout: 50 * time.Millisecond})
	n.hold("red")
	if err := n.confirm("red"); !errors.Is(err, adapter.ErrAway) {
		t.Errorf("confirm: %v", err)
	}
}

func TestSubscription_KilledConnectionIsReplacedAndCounted(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	cfg := redis.Config{Tag: "TAGa", NodeID: "killed"}
	n := readyNode(t, s, cfg)
	other := readyNode(t, s, redis.Config{})
	var names []string
	for i := range 2500 { // more than two batches
		names = append(names, fmt.Sprint("room-", i))
	}
	own := "TAGa0123456789abcdef"
	n.join(append(names, own)...)
	if got := n.metric("redis_resubscribes_total"); got != 0 {
		t.Errorf("%v resubscriptions before anything happened", got)
	}
	s.command("CLIENT", "KILL", "TYPE", "pubsub")
	eventually(t, "resubscribed", func() bool { return n.metric("redis_resubscribes_total") == 1 })
	if err := n.confirm(append(names, own)...); err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := 0; i < len(names); i += 500 {
		other.mustPublish(broadcast(numbered("room", i), names[i]))
		want = append(want, numbered("room", i))
	}
	other.mustPublish(broadcast(`["own"]`, own))
	n.awaitHeard(append(want, `["own"]`)...)
	for _, channel := range []string{"socket.io-request#/#", "socket.io#/#"} {
		eventually(t, "subscribed once by each node", func() bool { return s.subscribers(channel) == 2 })
	}
}

func TestRestart_EmptyRedisOnTheSamePortIsSubscribedAgain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{})
	other := readyNode(t, s, redis.Config{})
	n.join("red")
	s.stop()
	eventually(t, "both notice", func() bool { return !n.State().Connected && !other.State().Connected })
	if got := n.metric("redis_up"); got != 0 {
		t.Errorf("redis_up is %v without Redis", got)
	}
	n.hold("blue")
	queued := make(chan error, 1)
	other.Publish(broadcast(`["waits"]`), func(err error) { queued <- err })
	s.start()
	if err := <-queued; err != nil {
		t.Errorf("what waited for Redis: %v", err)
	}
	if err := n.confirm("red", "blue"); err != nil {
		t.Fatal(err)
	}
	other.mustPublish(broadcast(`["red"]`, "red"))
	other.mustPublish(broadcast(`["blue"]`, "blue"))
	eventually(t, "both rooms heard", func() bool {
		return slices.Contains(n.heard(), `["red"]`) && slices.Contains(n.heard(), `["blue"]`)
	})
	if !n.State().Ready || n.State().Deaf {
		t.Errorf("state after the restart: %+v", n.State())
	}
}

func TestPause_FrozenRedisLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{})
	other := readyNode(t, s, redis.Config{})
	n.join("red")
	s.signal(syscall.SIGSTOP)
	var want []string
	var outcomes sync.WaitGroup
	for i := range 50 {
		outcomes.Add(1)
		other.Publish(broadcast(numbered("frozen", i), "red"), func(err error) {
			if err != nil {
				t.Errorf("publish %d: %v", i, err)
			}
			outcomes.Done()
		})
		want = append(want, numbered("frozen", i))
	}
	// The pause is what is tested, not a way to wait for something.
	<-time.After(3 * time.Second)
	s.signal(syscall.SIGCONT)
	outcomes.Wait()
	n.awaitHeard(want...)
	if got := n.metric("redis_resubscribes_total"); got != 0 {
		t.Errorf("%v resubscriptions over a pause", got)
	}
}

// TestPublish_UnansweredIsUnknownAndNeverRepeated freezes Redis for longer than the connection waits. What was sent
// then may be carried out when Redis goes on, once; and nothing that is published afterwards may come before it.
func TestPublish_UnansweredIsUnknownAndNeverRepeated(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := goredis.NewClient(&goredis.Options{Addr: s.address, ReadTimeout: 300 * time.Millisecond})
	t.Cleanup(func() { _ = client.Close() })
	n := readyNode(t, s, redis.Config{})
	publisher := newNodeWith(t, client, redis.Config{Queue: redis.Queue{Age: 2 * time.Second}})
	for {
		eventually(t, "ready", func() bool { return publisher.State() == adapter.State{Ready: true, Connected: true} })
		s.signal(syscall.SIGSTOP)
		unknown := publisher.publish(broadcast(`["unknown"]`))
		if errors.Is(unknown, adapter.ErrUnknown) {
			break
		}
		if !errors.Is(unknown, adapter.ErrAway) {
			t.Fatalf("publish to a frozen Redis: %v", unknown)
		}
		s.signal(syscall.SIGCONT) // a probe was out when Redis froze, so the message was not even sent
	}
	if got := publisher.metric("redis_publish_dropped_total", "reason", "unknown"); got != 1 {
		t.Errorf("%v counted as unknown", got)
	}
	later := make(chan error, 1)
	publisher.Publish(broadcast(`["later"]`), func(err error) { later <- err })
	s.signal(syscall.SIGCONT)
	if err := <-later; err != nil {
		t.Fatalf("publish after the pause: %v", err)
	}
	eventually(t, "later heard", func() bool { return slices.Contains(n.heard(), `["later"]`) })
	heard := n.heard()
	if heard[len(heard)-1] != `["later"]` || len(heard) > 2 {
		t.Errorf("heard %q", heard)
	}
}

// TestPublish_AnswerLostIsHeardOnce: Redis has carried the command out, only its answer is lost.
func TestPublish_AnswerLostIsHeardOnce(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	proxy := newProxy(t, s.address)
	client := goredis.NewClient(&goredis.Options{Addr: proxy.address, ReadTimeout: 300 * time.Millisecond})
	t.Cleanup(func() { _ = client.Close() })
	n := readyNode(t, s, redis.Config{})
	publisher := newNodeWith(t, client, redis.Config{})
	eventually(t, "ready", func() bool { return publisher.State().Ready })
	var want []string
	outcomes := make(chan error, 3)
	// A connection that goes deaf while the machine is busy may be replaced before anything is published on it.
	eventually(t, "something counts as unknown", func() bool {
		proxy.deafen(false)
		for range 3 {
			text := numbered("unanswered", len(want))
			want = append(want, text)
			publisher.Publish(broadcast(text), func(err error) { outcomes <- err })
		}
		for range 3 {
			// The first are sent and not answered; what queued up behind them goes over the next connection.
			if err := <-outcomes; err != nil && !errors.Is(err, adapter.ErrUnknown) {
				t.Errorf("outcome: %v", err)
			}
		}
		return publisher.metric("redis_publish_dropped_total", "reason", "unknown") > 0
	})
	publisher.mustPublish(broadcast(`["later"]`))
	n.awaitHeard(append(want, `["later"]`)...)
}

func TestPublish_PredecessorIsKilledAtTheServer(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := clientWith(t, &goredis.Options{Addr: s.address, ReadTimeout: 200 * time.Millisecond})
	n := newNodeWith(t, client, redis.Config{NodeID: "the-node"})
	eventually(t, "ready", func() bool { return n.State().Ready })
	for range 3 {
		s.signal(syscall.SIGSTOP)
		n.Publish(broadcast(`["x"]`), nil)
		eventually(t, "connection given up", func() bool { return !n.State().Connected })
		s.signal(syscall.SIGCONT)
		n.mustPublish(broadcast(`["y"]`))
	}
	eventually(t, "one connection of each kind is left", func() bool {
		var subscribers, publishers int
		for line := range strings.Lines(s.command("CLIENT", "LIST").Val().(string)) {
			switch {
			case strings.Contains(line, " name=carillon:the-node:in "):
				subscribers++
			case strings.Contains(line, " name=carillon:the-node:out "):
				publishers++
			}
		}
		return subscribers == 1 && publishers == 1
	})
}

func TestWatchdog_DeafSubscriptionIsReplacedAndItsPredecessorKilled(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	proxy := newProxy(t, s.address)
	client := goredis.NewClient(&goredis.Options{Addr: proxy.address})
	t.Cleanup(func() { _ = client.Close() })
	n := newNodeWith(t, client, redis.Config{})
	other := readyNode(t, s, redis.Config{})
	eventually(t, "ready", func() bool { return n.State().Ready })
	n.join("red")
	proxy.deafen(true)
	eventually(t, "deaf", func() bool { return n.metric("redis_deaf") == 1 })
	eventually(t, "replaced", func() bool { return n.State() == adapter.State{Ready: true, Connected: true} })
	if got := n.metric("redis_deaf"); got != 0 {
		t.Errorf("shown as deaf after that: %v", got)
	}
	if err := n.confirm("red"); err != nil {
		t.Fatal(err)
	}
	if got := n.metric("redis_resubscribes_total"); got != 1 {
		t.Errorf("%v resubscriptions", got)
	}
	if got := s.subscribers("socket.io-request#/#"); got != 2 {
		t.Errorf("%d subscribers to requests instead of one per node", got)
	}
	other.mustPublish(broadcast(`["after"]`, "red"))
	n.awaitHeard(`["after"]`)
}

func TestFrozenRedis_NobodyWaitsLongerThanAsked(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := goredis.NewClient(&goredis.Options{Addr: s.address, ReadTimeout: time.Hour})
	t.Cleanup(func() { _ = client.Close() })
	n := newNodeWith(t, client, redis.Config{RequestTimeout: 100 * time.Millisecond})
	eventually(t, "ready", func() bool { return n.State().Ready })
	s.signal(syscall.SIGSTOP)
	late := newNodeWith(t, client, redis.Config{}) // never gets beyond the login
	n.hold("red")
	if err := n.confirm("red"); !errors.Is(err, adapter.ErrAway) {
		t.Errorf("confirm: %v", err)
	}
	_, err := n.Ask(t.Context(), adapter.AllRooms{Namespace: "/"}, func(adapter.Reply) {})
	if !errors.Is(err, adapter.ErrAway) {
		t.Errorf("ask: %v", err)
	}
	outcome := make(chan error, 1)
	n.Publish(broadcast(`["x"]`), func(err error) { outcome <- err })
	n.end()
	late.end()
	if err := <-outcome; err == nil {
		t.Error("publish succeeded without an answer")
	}
	s.signal(syscall.SIGCONT)
}
