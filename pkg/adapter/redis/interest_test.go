package redis_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

// info is one number of what Redis tells about itself.
func (s *server) info(section, pattern string) float64 {
	s.t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(s.command("INFO", section).Val().(string))
	if found == nil {
		return 0
	}
	number, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return number
}

func (s *server) subscribeCommands() int {
	return int(s.info("commandstats", `cmdstat_subscribe:calls=(\d+)`))
}

func TestInterest_NodeWithoutMembersReceivesNothingOfARoom(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	for name, cfg := range map[string]redis.Config{
		"classic": {},
		"sharded": {Sharding: &redis.Sharding{}},
	} {
		publisher, with, without := readyNode(t, s, cfg), readyNode(t, s, cfg), readyNode(t, s, cfg)
		with.join("red")
		without.join("blue")
		const messages = 2000
		for i := range messages {
			publisher.Publish(broadcast(numbered("x", i), "red"), nil)
		}
		publisher.mustPublish(broadcast(`["end"]`)) // behind all of them, on every node's channel
		eventually(t, name+": heard by the node that has members", func() bool { return len(with.heard()) == messages+1 })
		without.awaitHeard(`["end"]`)
		if in := without.metric("redis_messages_total", "direction", "in"); in != 1 {
			t.Errorf("%s: the node without members received %v messages", name, in)
		}
		for _, n := range []*node{publisher, with, without} {
			n.end()
		}
	}
}

// TestInterest_JoinsInQuickSuccessionShareCommands: those that come while Redis has not confirmed the one before.
func TestInterest_JoinsInQuickSuccessionShareCommands(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{})
	n.join("before")
	before := s.subscribeCommands()
	s.signal(syscall.SIGSTOP)
	const joins = 5000
	confirmed := make(chan error, joins)
	for i := range joins {
		room := fmt.Sprint("room-", i)
		n.hold(room)
		n.Confirm("/", []string{room}, func(err error) { confirmed <- err })
	}
	s.signal(syscall.SIGCONT)
	for range joins {
		if err := <-confirmed; err != nil {
			t.Fatal(err)
		}
	}
	// One that went out at once, and full batches; the last may be two.
	if got := s.subscribeCommands() - before; got > joins/1000+3 {
		t.Errorf("%d commands for %d joins", got, joins)
	}
}

// BenchmarkJoins has 5,000 sockets a second join a room of their own and leave it, and tells what that costs Redis.
func BenchmarkJoins(b *testing.B) {
	s := startServer(b)
	n := readyNode(b, s, redis.Config{Linger: 100 * time.Millisecond})
	const perTick, tick = 5, time.Millisecond
	cpu := func() float64 {
		return s.info("cpu", `used_cpu_user:([\d.]+)`) + s.info("cpu", `used_cpu_sys:([\d.]+)`)
	}
	commands, used, started := s.subscribeCommands(), cpu(), time.Now()
	confirmed := make(chan error, b.N)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for i := range b.N {
		if i%perTick == 0 {
			<-ticker.C
		}
		room := fmt.Sprint("room-", i)
		n.hold(room)
		n.Confirm("/", []string{room}, func(err error) {
			confirmed <- err
			go n.drop(room)
		})
	}
	for range b.N {
		if err := <-confirmed; err != nil {
			b.Fatal(err)
		}
	}
	seconds := time.Since(started).Seconds()
	b.ReportMetric(float64(b.N)/seconds, "joins/s")
	b.ReportMetric((cpu()-used)*1e6/float64(b.N), "redis-µs/join")
	b.ReportMetric((cpu()-used)*100/seconds, "redis-%core")
	b.ReportMetric(float64(b.N)/float64(max(s.subscribeCommands()-commands, 1)), "joins/command")
}

// TestInterest_OneConnectionHearsChannelsAndPattern: two would not keep the order between them, and Node waits for as
// many answers as there are subscriptions to requests. The key means something to a pattern.
func TestInterest_OneConnectionHearsChannelsAndPattern(t *testing.T) {
	t.Parallel()
	const key = "other[key]*?\\"
	s := startServer(t)
	n := readyNode(t, s, redis.Config{Key: key, Tag: "TAGa"})
	own := "TAGa0123456789abcdef"
	n.join("red", own)
	if list := s.command("CLIENT", "LIST", "TYPE", "pubsub").Val().(string); strings.Count(list, "\n") != 1 {
		t.Errorf("connections that subscribed:\n%s", list)
	}
	for _, channel := range []string{key + "-request#/#", key + "#/#", key + "#/#red#"} {
		if got := s.subscribers(channel); got != 1 {
			t.Errorf("%s subscribed %d times", channel, got)
		}
	}
	if got := s.subscribers(key + "#/#" + own + "#"); got != 0 {
		t.Error("a covered room is subscribed by name")
	}
	other := readyNode(t, s, redis.Config{Key: key})
	for i, room := range []string{own, "red", own} {
		other.mustPublish(broadcast(numbered("to "+room, i), room))
	}
	n.awaitHeard(numbered("to "+own, 0), numbered("to red", 1), numbered("to "+own, 2))
}
