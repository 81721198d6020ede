package redis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// counting is a server that holds what it is told to and counts.
type counting struct {
	holds     func(room string) bool
	delivered int
}

func (c *counting) Deliver(adapter.Command) int {
	c.delivered++
	return 1
}
func (c *counting) Answer(adapter.Query, func(adapter.Reply)) {}
func (c *counting) Holds(_, room string) bool                 { return c.holds(room) }

// unstarted is an adapter that is fed by hand, with room red of the main namespace held above it.
func unstarted(t testing.TB, cfg Config) (*Adapter, *counting) {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:0"})
	t.Cleanup(func() { _ = client.Close() })
	a, err := New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	n := &counting{holds: func(string) bool { return true }}
	a.node = n
	a.Open("/")
	a.Touch("/", "red")
	return a, n
}

// receiver is unstarted and subscribed.
func receiver(t testing.TB, cfg Config) (*Adapter, *counting) {
	t.Helper()
	a, n := unstarted(t, cfg)
	a.subscriber.evaluate(n)
	return a, n
}

// chat is a message of a chat.
func chat(size int, to ...string) adapter.Broadcast {
	data := fmt.Sprintf(`["message",{"id":12345,"from":"ada","text":%q}]`, strings.Repeat("x", size))
	return adapter.Broadcast{
		Namespace: "/", Args: packet.Args{JSON: []byte(data)}, Target: rooms.Target{Rooms: to},
	}
}

func encode(t testing.TB, uid string, size int, to ...string) string {
	t.Helper()
	b := chat(size, to...)
	payload, err := rediswire.AppendBroadcast(nil, uid, &b)
	if err != nil {
		t.Fatal(err)
	}
	return string(payload)
}

// skips sees what a subscription does with messages that are not for this node, and with one that is.
func skips(t *testing.T, s *subscriber, n *counting, encode func(testing.TB, string, int, ...string) string) {
	t.Helper()
	red := "socket.io#/#red#"
	for name, c := range map[string]struct {
		message *goredis.Message
		holds   bool
	}{
		"room nobody is in": {&goredis.Message{Channel: red, Payload: encode(t, "other", 100, "red")}, false},
		"unknown channel":   {&goredis.Message{Channel: "socket.io#/#blue#"}, true},
		"sent by this node": {&goredis.Message{Channel: red, Payload: encode(t, "this", 100, "red")}, true},
	} {
		n.holds = func(string) bool { return c.holds }
		if allocs := testing.AllocsPerRun(100, func() { s.dispatch(c.message) }); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
	if n.delivered != 0 {
		t.Errorf("%d delivered", n.delivered)
	}
	n.holds = func(string) bool { return true }
	s.dispatch(&goredis.Message{Channel: red, Payload: encode(t, "other", 100, "red")})
	if n.delivered != 1 {
		t.Errorf("%d delivered instead of 1", n.delivered)
	}
}

func TestReceive_PatternMessageIsTakenOnlyForARoomHeldHere(t *testing.T) {
	a, n := receiver(t, Config{Tag: "TAGa"})
	sid := "TAGa0123456789abcdef"
	message := func(channel string) *goredis.Message {
		pattern := "socket.io#*#TAGa????????????????#"
		return &goredis.Message{Channel: channel, Pattern: pattern, Payload: encode(t, "u", 1, sid)}
	}
	n.holds = func(room string) bool { return room == sid }
	a.subscriber.dispatch(message("socket.io#/#" + sid + "#"))
	if n.delivered != 1 {
		t.Errorf("delivered %d instead of 1", n.delivered)
	}
	a.subscriber.dispatch(message("socket.io#/#TAGa0000000000000000#"))
	a.subscriber.dispatch(message("socket.io#/closed#" + sid + "#"))
	if n.delivered != 1 {
		t.Errorf("delivered %d instead of 1", n.delivered)
	}
}

func TestTouch_RoomThatThePatternCoversIsNotSubscribedByName(t *testing.T) {
	a, n := receiver(t, Config{Tag: "TAGa"})
	a.Touch("/", "TAGa0123456789abcdef", "TAGb0123456789abcdef", "/#TAGa0123456789abcdef")
	a.subscriber.evaluate(n)
	a.subscriber.table.attach()
	var names []string
	for {
		c, ok := a.subscriber.table.next()
		if !ok {
			break
		}
		names = append(names, c.names()...)
		for _, name := range c.names() {
			if err := a.subscriber.table.confirm(c.verb, name, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := strings.Join(names, " ")
	covered := strings.Contains(all, "#TAGa0123")
	if covered || !strings.Contains(all, "#TAGb0123") || !strings.Contains(all, "#TAGa????") {
		t.Errorf("subscribed %q", names)
	}
}

func TestReceive_SkippingAllocatesNothing(t *testing.T) {
	a, n := receiver(t, Config{NodeID: "this"})
	skips(t, a.subscriber, n, encode)
}

func BenchmarkReceive(b *testing.B) {
	a, n := receiver(b, Config{NodeID: "this"})
	red := "socket.io#/#red#"
	cases := []struct {
		name    string
		message *goredis.Message
		holds   bool
	}{
		{"skip/no-member", &goredis.Message{Channel: red, Payload: encode(b, "other", 60, "red")}, false},
		{"skip/own", &goredis.Message{Channel: red, Payload: encode(b, "this", 60, "red")}, true},
		{"deliver/150B", &goredis.Message{Channel: red, Payload: encode(b, "other", 60, "red")}, true},
		{"deliver/4kB", &goredis.Message{Channel: red, Payload: encode(b, "other", 4000, "red")}, true},
		{"deliver/base", &goredis.Message{Channel: "socket.io#/#", Payload: encode(b, "other", 60)}, true},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			n.holds = func(string) bool { return c.holds }
			b.SetBytes(int64(len(c.message.Payload)))
			b.ReportAllocs()
			for b.Loop() {
				a.subscriber.dispatch(c.message)
			}
		})
	}
}
