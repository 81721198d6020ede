package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/emitter"
)

// dynamic is Node's default.
func dynamic() redis.Config { return redis.Config{Sharding: &redis.Sharding{}} }

// shardSubscribers is how many connections a master has with a sharded channel.
func (s *server) shardSubscribers(channel string) int {
	s.t.Helper()
	return int(s.command("PUBSUB", "SHARDNUMSUB", channel).Val().([]any)[1].(int64))
}

// until publishes until another node hears it. What it sends before may be lost.
func (n *node) until(to *node, room, text string) {
	n.t.Helper()
	for i := 0; ; i++ {
		numbered := numbered(text, i)
		if n.publish(broadcast(numbered, room)) != nil {
			continue
		}
		deadline := time.After(50 * time.Millisecond << min(i, 6))
		for {
			if slices.Contains(to.heard(), numbered) {
				return
			}
			select {
			case <-deadline:
			case <-time.After(time.Millisecond):
				continue
			}
			break
		}
	}
}

func TestSharded_SubscribesWhatNodesModesSay(t *testing.T) {
	t.Parallel()
	const (
		sid     = "0123456789abcdefghij"
		old     = "/x#0123456789abcdefghij"
		channel = "socket.io#/#"
	)
	cases := map[redis.Mode][]string{
		redis.ModeStatic:         nil,
		redis.ModeDynamic:        {"red", old},
		redis.ModeDynamicPrivate: {"red", old, sid},
	}
	for mode, rooms := range cases {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			cfg := redis.Config{NodeID: "the-node", Tag: "0123", Sharding: &redis.Sharding{Mode: mode}}
			n := readyNode(t, s, cfg)
			n.join("red", sid, old)
			want := []string{channel, channel + "the-node#"}
			for _, room := range rooms {
				want = append(want, channel+room+"#")
			}
			var got []string
			for _, c := range s.command("PUBSUB", "SHARDCHANNELS").Val().([]any) {
				if name := c.(string); !strings.HasPrefix(name, "carillon:probe:the-node:") {
					got = append(got, name)
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("subscribed to %q instead of %q", got, want)
			}
			if classic := s.command("PUBSUB", "CHANNELS").Val().([]any); len(classic) != 0 {
				t.Errorf("and to %q", classic)
			}
		})
	}
}

func TestSharded_RoomNamedAsANodeIsARoom(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	cfg := dynamic()
	cfg.NodeID = "the-node"
	n, other := readyNode(t, s, cfg), readyNode(t, s, dynamic())
	n.join("the-node")
	n.answers(func(_ adapter.Query, reply func(adapter.Reply)) { reply(adapter.RoomNames{"x"}) })
	other.answers(func(_ adapter.Query, reply func(adapter.Reply)) { reply(adapter.RoomNames{"x"}) })
	other.mustPublish(broadcast(`["hi"]`, "the-node"))
	n.awaitHeard(`["hi"]`)
	missing, err := n.Ask(t.Context(), adapter.AllRooms{Namespace: "/"}, func(adapter.Reply) {})
	if err != nil || len(missing) > 0 {
		t.Errorf("answers: missing %q, %v", missing, err)
	}
}

func TestSharded_ClassicEmittersAreHeardWhereWanted(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	cfg := redis.Config{Tag: "TAGa", Sharding: &redis.Sharding{ClassicEmitters: true}}
	n, deaf := readyNode(t, s, cfg), readyNode(t, s, dynamic())
	own := "TAGa0123456789abcdef"
	n.join("red", own)
	deaf.join("red")
	e := emitter.New(s.client(), emitter.Config{})
	for _, err := range []error{
		e.Emit(t.Context(), "all"), e.To("red").Emit(t.Context(), "room"), e.To(own).Emit(t.Context(), "own"),
		e.To("red").SocketsJoin(t.Context(), "blue"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all heard", func() bool { return len(n.delivered()) == 4 })
	n.awaitHeard(`["all"]`, `["room"]`, `["own"]`)
	n.mustPublish(broadcast(`["sharded"]`, "red"))
	deaf.awaitHeard(`["sharded"]`)
}

// TestSharded_RedisSixIsAClearError uses a server that does not know the commands of Redis 7.
func TestSharded_RedisSixIsAClearError(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start("--rename-command", "SSUBSCRIBE", "")
	core, logs := observer.New(zapcore.WarnLevel)
	cfg := dynamic()
	cfg.Logger = zap.New(core)
	n := newNode(t, s, cfg)
	eventually(t, "the log says so", func() bool {
		for _, entry := range logs.All() {
			if strings.Contains(fmt.Sprint(entry.ContextMap()["error"]), "needs Redis 7") {
				return true
			}
		}
		return false
	})
	if n.State().Ready {
		t.Error("ready")
	}
}

func TestSharded_KilledConnectionsAreReplaced(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n, other := readyNode(t, s, dynamic()), readyNode(t, s, dynamic())
	var names []string
	for i := range 2500 { // more than two batches
		names = append(names, fmt.Sprint("room-", i))
	}
	n.join(names...)
	s.command("CLIENT", "KILL", "TYPE", "pubsub")
	eventually(t, "resubscribed", func() bool { return n.metric("redis_resubscribes_total") == 1 })
	if err := n.confirm(names...); err != nil {
		t.Fatal(err)
	}
	other.mustPublish(broadcast(`["after"]`, "room-1234"))
	n.awaitHeard(`["after"]`)
}

func TestSharded_ManyRoomsOnACluster(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, false)
	cfg := dynamic()
	cfg.RequestTimeout = time.Minute
	n, other := readyNodeWith(t, c.client(), cfg), readyNodeWith(t, c.client(), dynamic())
	var names []string
	for i := range 20_000 {
		names = append(names, fmt.Sprint("room-", i))
	}
	started := time.Now()
	n.join(names...)
	t.Logf("%d rooms confirmed in %s", len(names), time.Since(started))
	for _, s := range c.servers {
		var connections int
		for line := range strings.Lines(s.command("CLIENT", "LIST", "TYPE", "pubsub").Val().(string)) {
			if !strings.Contains(line, " ssub=0 ") {
				connections++
			}
		}
		if connections != 2 {
			t.Errorf("%d subscribed connections instead of one per node", connections)
		}
	}
	for _, s := range c.servers {
		s.command("CLIENT", "KILL", "TYPE", "pubsub")
	}
	eventually(t, "resubscribed", func() bool { return n.metric("redis_resubscribes_total") == 3 })
	started = time.Now()
	if err := n.confirm(names...); err != nil {
		t.Fatal(err)
	}
	t.Logf("and again in %s", time.Since(started))
	for i := 0; i < len(names); i += 500 {
		other.mustPublish(broadcast(numbered("after", i), names[i]))
	}
	eventually(t, "heard", func() bool { return len(n.heard()) == len(names)/500 })
}

func TestSharded_KilledShardLeavesTheOthersServing(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, true)
	n, other := readyNodeWith(t, c.client(), dynamic()), readyNodeWith(t, c.client(), dynamic())
	// The channel of the namespace is at the last master; the others have a room each.
	if c.owner("socket.io#/#") != 2 {
		t.Fatal("the channel of the namespace is elsewhere")
	}
	dead, alive := c.roomAt(0), c.roomAt(1)
	n.join(dead, alive)
	other.until(n, dead, "before")
	c.servers[0].stop()
	eventually(t, "noticed", func() bool { return !other.State().Connected && n.metric("redis_up") == 0 })
	for i := range 100 {
		other.mustPublish(broadcast(numbered("alive", i), alive))
		other.mustPublish(broadcast(numbered("all", i)))
	}
	eventually(t, "heard", func() bool {
		return slices.Contains(n.heard(), numbered("alive", 99)) && slices.Contains(n.heard(), numbered("all", 99))
	})
	eventually(t, "the replica is promoted", c.servers[3].isMaster)
	timed(t, "served by the replica", func() bool {
		other.until(n, dead, "promoted")
		return n.State() == adapter.State{Ready: true, Connected: true}
	})
	if err := n.confirm(dead, alive); err != nil {
		t.Error(err)
	}
	if n.metric("redis_resubscribes_total") == 0 {
		t.Error("the gap is not counted")
	}

	// Now the promoted one dies, for whom there is none, and comes back.
	c.servers[3].stop()
	eventually(t, "noticed", func() bool { return !other.State().Connected })
	other.until(n, alive, "still alive")
	c.servers[3].start()
	timed(t, "served by the master that came back", func() bool {
		other.until(n, dead, "back")
		return n.State() == adapter.State{Ready: true, Connected: true}
	})
}

func TestSharded_SlotMovesKeepOrderAndAreCounted(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, false)
	n, other := readyNodeWith(t, c.client(), dynamic()), readyNodeWith(t, c.client(), dynamic())
	room := c.roomAt(0)
	n.join(room)
	slot := redisconn.Slot("socket.io#/#" + room + "#")
	stop, published := make(chan struct{}), 0
	var publishing sync.WaitGroup
	publishing.Go(func() {
		for ; ; published++ {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Microsecond):
			}
			if err := other.publish(broadcast(numbered("moving", published), room)); err != nil {
				t.Errorf("publish: %v", err)
			}
		}
	})
	eventually(t, "under way", func() bool { return len(n.heard()) > 10 })
	for i := range 4 {
		from, to := c.servers[i%3], c.servers[(i+1)%3]
		before := len(n.heard())
		c.move(slot, from, to)
		timed(t, "subscribed at its new master", func() bool {
			return to.shardSubscribers("socket.io#/#"+room+"#") == 1
		})
		eventually(t, "heard from there", func() bool { return len(n.heard()) > before+10 })
	}
	close(stop)
	publishing.Wait()
	if err := n.confirm(room); err != nil {
		t.Error(err)
	}
	other.until(n, room, "moved")
	var last int
	lost := published
	for _, text := range n.heard() {
		var i int
		if _, err := fmt.Sscanf(text, `["moving",%d]`, &i); err != nil {
			continue
		}
		if lost--; i < last {
			t.Fatalf("%d after %d", i, last)
		}
		last = i
	}
	t.Logf("%d of %d missed over four moves", lost, published)
	if n.metric("redis_resubscribes_total") == 0 {
		t.Error("the gaps are not counted")
	}
	for _, reason := range []string{"refused", "unknown", "age"} {
		if got := other.metric("redis_publish_dropped_total", "reason", reason); got != 0 {
			t.Errorf("%v messages %s", got, reason)
		}
	}
}

// TestSharded_AllSlotsOfAMasterMove takes its probes and its last channel away as well.
func TestSharded_AllSlotsOfAMasterMove(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 2, false)
	n, other := readyNodeWith(t, c.client(), dynamic()), readyNodeWith(t, c.client(), dynamic())
	room := c.roomAt(0)
	n.join(room)
	// The first hears of it from the second, whose configuration is newer, and becomes its replica.
	taker, id := c.servers[1].client().Pipeline(), c.servers[1].id()
	for slot := range redisconn.Slots / 2 {
		taker.Do(t.Context(), "CLUSTER", "SETSLOT", slot, "NODE", id)
	}
	if _, err := taker.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	timed(t, "served by the other", func() bool {
		other.until(n, room, "moved")
		return n.State() == adapter.State{Ready: true, Connected: true}
	})
	if err := n.confirm(room); err != nil {
		t.Error(err)
	}
	first := c.servers[0].client()
	eventually(t, "nothing is left at the first", func() bool {
		return len(first.PubSubShardChannels(t.Context(), "").Val()) == 0
	})
}

func TestSharded_QueriesAreAnsweredAcrossShards(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, false)
	nodes := make([]*node, 5)
	for i := range nodes {
		nodes[i] = readyNodeWith(t, c.client(), dynamic())
		nodes[i].answers(func(_ adapter.Query, reply func(adapter.Reply)) { reply(adapter.RoomNames{fmt.Sprint(i)}) })
	}
	eventually(t, "all in the namespace", func() bool {
		return c.servers[2].shardSubscribers("socket.io#/#") == len(nodes)
	})
	var names []string
	missing, err := nodes[0].Ask(t.Context(), adapter.AllRooms{Namespace: "/"}, func(r adapter.Reply) {
		names = append(names, r.(adapter.RoomNames)...)
	})
	slices.Sort(names)
	if err != nil || len(missing) > 0 || strings.Join(names, "") != "1234" {
		t.Errorf("rooms %q, missing %q, %v", names, missing, err)
	}
}

func TestClassic_ClusterFailoverBringsDeliveryBack(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, true)
	n, other := readyNodeWith(t, c.client(), redis.Config{}), readyNodeWith(t, c.client(), redis.Config{})
	n.join("red")
	pinned := c.owner("socket.io")
	numsub := 0
	for _, s := range c.servers[:3] {
		numsub += s.subscribers("socket.io-request#/#")
	}
	if numsub != 2 {
		t.Errorf("%d subscribers to requests over all masters instead of one per node", numsub)
	}
	for _, x := range []*node{n, other} {
		x.answers(func(_ adapter.Query, reply func(adapter.Reply)) { reply(adapter.RoomNames{"x"}) })
	}
	answers := 0
	missing, err := n.Ask(t.Context(), adapter.AllRooms{Namespace: "/"}, func(adapter.Reply) { answers++ })
	if err != nil || len(missing) > 0 || answers != 1 {
		t.Errorf("%d answers, missing %q, %v", answers, missing, err)
	}
	c.failOver(pinned, n, other)
}
