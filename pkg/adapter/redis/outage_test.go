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

// outage is two nodes and what becomes of a stream of messages from one to the other.
type outage struct {
	t        *testing.T
	from, to *node

	outcomes sync.WaitGroup
	mu       sync.Mutex
	sent     int
	taken    []string // what Redis took for certain
}

func newOutage(t *testing.T, cfg redis.Config, client func() goredis.UniversalClient) *outage {
	t.Helper()
	o := &outage{t: t}
	o.from = readyNodeWith(t, client(), cfg)
	o.to = readyNodeWith(t, client(), cfg)
	o.from.hold("red")
	o.to.join("red")
	return o
}

// burst is how many messages are sent at a time.
const burst = 20

// send publishes a burst without waiting.
func (o *outage) send() {
	for range burst {
		text := numbered("stream", o.sent)
		o.sent++
		o.outcomes.Add(1)
		o.from.Publish(broadcast(text, "red"), func(err error) {
			if err == nil {
				o.mu.Lock()
				o.taken = append(o.taken, text)
				o.mu.Unlock()
			}
			o.outcomes.Done()
		})
	}
}

// check sees to it that everything has an outcome, nothing came twice and all that came is in order.
func (o *outage) check() {
	o.t.Helper()
	o.outcomes.Wait()
	heard := o.to.heard()
	last := -1
	for _, text := range heard {
		i := slices.Index(heard, text)
		if slices.Contains(heard[i+1:], text) {
			o.t.Errorf("%s came twice", text)
		}
	}
	for i := range o.sent {
		if at := slices.Index(heard, numbered("stream", i)); at >= 0 {
			if at < last {
				o.t.Errorf("%d came out of order", i)
			}
			last = at
		}
	}
}

// TestOutage_FrozenSixSeconds: longer than a connection waits for an answer.
func TestOutage_FrozenSixSeconds(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	o := newOutage(t, redis.Config{}, func() goredis.UniversalClient { return s.client() })
	s.signal(syscall.SIGSTOP)
	o.send()
	frozen := time.After(6 * time.Second) // the pause is what is tested
	eventually(t, "noticed", func() bool { return o.from.metric("redis_up") == 0 && !o.from.State().Connected })
	o.send()
	<-frozen
	s.signal(syscall.SIGCONT)
	talk(t, o.from, o.to, "red")
	o.check()
	if dropped := o.from.metric("redis_publish_dropped_total", "reason", "unknown"); dropped == 0 {
		t.Error("nothing counted as unknown")
	}
	for _, text := range o.taken {
		if !slices.Contains(o.to.heard(), text) && o.to.metric("redis_resubscribes_total") == 0 {
			t.Errorf("%s was taken, missed, and no gap counted", text)
		}
	}
	for _, n := range []*node{o.from, o.to} {
		if n.metric("redis_up") != 1 || n.State() != (adapter.State{Ready: true, Connected: true}) {
			t.Errorf("afterwards: up %v, %+v", n.metric("redis_up"), n.State())
		}
	}
}

func TestOutage_RestartedEmpty(t *testing.T) {
	t.Parallel()
	inEachDialect(t, func(t *testing.T, s *server, config func() redis.Config) {
		o := newOutage(t, config(), func() goredis.UniversalClient { return s.client() })
		s.stop()
		eventually(t, "noticed", func() bool { return o.from.metric("redis_up") == 0 && o.to.metric("redis_up") == 0 })
		o.send()
		s.start()
		talk(t, o.from, o.to, "red")
		o.check()
		if len(o.taken) != burst {
			t.Errorf("%d of %d waiting messages were published", len(o.taken), burst)
		}
		want := 1.0
		if config().Streams != nil {
			want = 2 // the stream is read on a connection of its own
		}
		eventually(t, "gap counted", func() bool { return o.to.metric("redis_resubscribes_total") >= want })
		if got := o.to.metric("redis_resubscribes_total"); got != want {
			t.Errorf("%v gaps counted", got)
		}
	})
}

func TestOutage_TwoReconnectsHalfASecondApart(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	o := newOutage(t, redis.Config{}, func() goredis.UniversalClient { return s.client() })
	var names []string
	for i := range 3000 {
		names = append(names, fmt.Sprint("room-", i))
	}
	o.to.join(names...)
	for range 2 {
		before := o.to.metric("redis_resubscribes_total")
		s.command("CLIENT", "KILL", "TYPE", "pubsub")
		o.send()
		<-time.After(500 * time.Millisecond) // the distance is what is tested
		eventually(t, "gap counted", func() bool { return o.to.metric("redis_resubscribes_total") > before })
	}
	talk(t, o.from, o.to, "red")
	o.from.hold(names[len(names)-1])
	talk(t, o.from, o.to, names[len(names)-1])
	o.check()
	if got := s.subscribers(requests); got != 2 {
		t.Errorf("%d subscribers to requests", got)
	}
}

// TestOutage_NothingGetsThrough: the connections stay open, new ones can be made, and nothing arrives on any.
func TestOutage_NothingGetsThrough(t *testing.T) {
	t.Parallel()
	for name, direction := range map[string]bool{"to the nodes": true, "to Redis": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inEachDialect(t, func(t *testing.T, s *server, config func() redis.Config) {
				proxy := newProxy(t, s.address)
				o := newOutage(t, config(), func() goredis.UniversalClient {
					return clientWith(t, &goredis.Options{Addr: proxy.address, ReadTimeout: time.Second})
				})
				proxy.mute(direction, true)
				o.send()
				eventually(t, "noticed", func() bool { return o.from.metric("redis_up") == 0 })
				// Behind a probe that was on its way it waits.
				eventually(t, "taken for unknown, or waiting", func() bool {
					return o.from.metric("redis_publish_dropped_total", "reason", "unknown") > 0 || o.from.metric("redis_publish_queue") > 0
				})
				<-time.After(3 * time.Second) // several attempts to connect come to nothing
				proxy.mute(direction, false)
				talk(t, o.from, o.to, "red")
				o.check()
				eventually(t, "one connection each", func() bool { return s.asked(config()) == 2 })
			})
		})
	}
}

func TestOutage_QueueIsBoundedAndTellsWhoAsked(t *testing.T) {
	t.Parallel()
	inEachDialect(t, func(t *testing.T, s *server, config func() redis.Config) {
		cfg := config()
		cfg.Queue = redis.Queue{Messages: 10, Age: time.Minute}
		n, other := readyNode(t, s, cfg), readyNode(t, s, config())
		s.stop()
		eventually(t, "noticed", func() bool { return !n.State().Connected && !other.State().Connected })
		var mu sync.Mutex
		outcomes := make(map[int]error)
		var all sync.WaitGroup
		all.Add(25)
		for i := range 25 {
			n.Publish(broadcast(numbered("x", i)), func(err error) {
				mu.Lock()
				defer mu.Unlock()
				outcomes[i] = err
				all.Done()
			})
		}
		if got := n.metric("redis_publish_queue"); got > 10 {
			t.Errorf("%v messages wait", got)
		}
		s.start()
		all.Wait()
		// A probe may wait among them.
		full := n.metric("redis_publish_dropped_total", "reason", "full")
		if full < 15 || full > 16 {
			t.Errorf("%v dropped", full)
		}
		for i := range 25 {
			if refused := errors.Is(outcomes[i], adapter.ErrFull); refused != (i < int(full)) {
				t.Errorf("message %d: %v", i, outcomes[i])
			}
		}
	})
}

func TestOutage_IsLoggedOncePerChange(t *testing.T) {
	t.Parallel()
	inEachDialect(t, func(t *testing.T, s *server, config func() redis.Config) {
		log, entries := observed()
		cfg := config()
		cfg.Logger = log
		n := newNode(t, s, cfg)
		eventually(t, "ready", func() bool { return n.State().Ready })
		s.stop()
		eventually(t, "noticed", func() bool { return !n.State().Connected })
		<-time.After(3 * time.Second) // many attempts to connect
		s.start()
		eventually(t, "back", func() bool { return n.State().Connected })
		eventually(t, "hears", func() bool { return n.confirm() == nil })
		counts := make(map[string]int)
		for _, e := range entries.All() {
			counts[e.Message]++
		}
		for message, n := range counts {
			if n > 2 || strings.Contains(message, "panic") {
				t.Errorf("%q %d times", message, n)
			}
		}
	})
}
