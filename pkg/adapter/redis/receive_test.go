package redis

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisserver"
	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// counting is a server that holds what it is told to and counts.
type counting struct {
	holds     func(room string) bool
	delivered int
	commands  []adapter.Command // the first two
}

func (c *counting) Deliver(command adapter.Command) int {
	if c.delivered++; c.delivered <= 2 {
		c.commands = append(c.commands, command)
	}
	return 1
}
func (c *counting) Answer(adapter.Query, func(adapter.Reply)) {}
func (c *counting) Holds(_, room string) bool                 { return c.holds(room) }

// receiver is an adapter that is fed by hand, with room red of the main namespace held above it.
func receiver(t testing.TB, cfg Config) (*Adapter, *counting) {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:0"})
	t.Cleanup(func() { _ = client.Close() })
	a, err := New(client, cfg)
	if err != nil {
		t.Fatal(err)
	}
	n := &counting{holds: func(string) bool { return true }}
	a.start(n)
	a.Open("/")
	a.Touch("/", "red")
	return a, n
}

// server is the one that the node speaks at.
func (a *Adapter) server() *redisserver.Server { return a.dialect.Owner(0) }

// push is a message as it is read.
func push(channel string, payload []byte) *redisconn.Push {
	return &redisconn.Push{Kind: redisconn.Message, Channel: []byte(channel), Payload: payload, Size: len(payload)}
}

// chat is a message of a chat.
func chat(size int, to ...string) adapter.Broadcast {
	data := fmt.Sprintf(`["message",{"id":12345,"from":"ada","text":%q}]`, strings.Repeat("x", size))
	return adapter.Broadcast{
		Namespace: "/", Args: packet.Args{JSON: []byte(data)}, Target: rooms.Target{Rooms: to},
	}
}

func encode(t testing.TB, uid string, size int, to ...string) []byte {
	t.Helper()
	b := chat(size, to...)
	payload, err := rediswire.AppendBroadcast(nil, uid, &b)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

// skips sees what a subscription does with messages that are not for this node, and with one that is.
func skips(t *testing.T, s *redisserver.Server, n *counting, encode func(testing.TB, string, int, ...string) []byte) {
	t.Helper()
	red := "socket.io#/#red#"
	for name, c := range map[string]struct {
		message *redisconn.Push
		holds   bool
	}{
		"room nobody is in": {push(red, encode(t, "other", 100, "red")), false},
		"unknown channel":   {push("socket.io#/#blue#", nil), true},
		"sent by this node": {push(red, encode(t, "this", 100, "red")), true},
	} {
		n.holds = func(string) bool { return c.holds }
		if allocs := testing.AllocsPerRun(100, func() { s.Dispatch(c.message) }); allocs != 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
	if n.delivered != 0 {
		t.Errorf("%d delivered", n.delivered)
	}
	n.holds = func(string) bool { return true }
	s.Dispatch(push(red, encode(t, "other", 100, "red")))
	if n.delivered != 1 {
		t.Errorf("%d delivered instead of 1", n.delivered)
	}
}

func TestReceive_PatternMessageIsTakenOnlyForARoomHeldHere(t *testing.T) {
	a, n := receiver(t, Config{Tag: "TAGa"})
	sid := "TAGa0123456789abcdef"
	message := func(channel string) *redisconn.Push {
		p := push(channel, encode(t, "u", 1, sid))
		p.Kind, p.Pattern = redisconn.PatternMessage, []byte("socket.io#*#TAGa????????????????#")
		return p
	}
	n.holds = func(room string) bool { return room == sid }
	a.server().Dispatch(message("socket.io#/#" + sid + "#"))
	if n.delivered != 1 {
		t.Errorf("delivered %d instead of 1", n.delivered)
	}
	a.server().Dispatch(message("socket.io#/#TAGa0000000000000000#"))
	a.server().Dispatch(message("socket.io#/closed#" + sid + "#"))
	if n.delivered != 1 {
		t.Errorf("delivered %d instead of 1", n.delivered)
	}
}

func TestTouch_RoomThatThePatternCoversIsNotSubscribedByName(t *testing.T) {
	a, _ := receiver(t, Config{Tag: "TAGa"})
	a.Touch("/", "TAGa0123456789abcdef", "TAGb0123456789abcdef", "/#TAGa0123456789abcdef")
	var all string
	a.server().Exclude(func(name string) bool { all += name + " "; return false }, func() {})
	covered := strings.Contains(all, "#TAGa0123")
	if covered || !strings.Contains(all, "#TAGb0123") || !strings.Contains(all, "#TAGa????") {
		t.Errorf("wanted %q", all)
	}
}

func TestReceive_SkippingAllocatesNothing(t *testing.T) {
	a, n := receiver(t, Config{NodeID: "this"})
	skips(t, a.server(), n, encode)
}

func BenchmarkReceive(b *testing.B) {
	a, n := receiver(b, Config{NodeID: "this"})
	red := "socket.io#/#red#"
	cases := []struct {
		name    string
		message *redisconn.Push
		holds   bool
	}{
		{"skip/no-member", push(red, encode(b, "other", 60, "red")), false},
		{"skip/own", push(red, encode(b, "this", 60, "red")), true},
		{"deliver/150B", push(red, encode(b, "other", 60, "red")), true},
		{"deliver/4kB", push(red, encode(b, "other", 4000, "red")), true},
		{"deliver/base", push("socket.io#/#", encode(b, "other", 60)), true},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			n.holds = func(string) bool { return c.holds }
			b.SetBytes(int64(len(c.message.Payload)))
			b.ReportAllocs()
			for b.Loop() {
				a.server().Dispatch(c.message)
			}
		})
	}
}

func encodeSharded(t testing.TB, uid string, size int, to ...string) []byte {
	t.Helper()
	m := rediswire.ClusterMessage{UID: uid, Command: chat(size, to...)}
	payload, err := rediswire.AppendCluster(nil, "/", &m)
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func TestReceiveSharded_SkippingAllocatesNothing(t *testing.T) {
	a, n := receiver(t, Config{NodeID: "this", Sharding: &Sharding{}})
	skips(t, a.server(), n, encodeSharded)
}

func BenchmarkReceiveSharded(b *testing.B) {
	a, _ := receiver(b, Config{NodeID: "this", Sharding: &Sharding{}})
	m := push("socket.io#/#red#", encodeSharded(b, "other", 60, "red"))
	b.ReportAllocs()
	b.SetBytes(int64(len(m.Payload)))
	for b.Loop() {
		a.server().Dispatch(m)
	}
}

// endless is a connection on which the same message comes again and again.
type endless struct {
	text []byte
	at   int
}

func (e *endless) Read(b []byte) (int, error) {
	for n := 0; n < len(b); {
		copied := copy(b[n:], e.text[e.at:])
		e.at = (e.at + copied) % len(e.text)
		n += copied
	}
	return len(b), nil
}

// BenchmarkConnection reads messages of 150 bytes as they come from Redis, and delivers or skips them.
func BenchmarkConnection(b *testing.B) {
	a, n := receiver(b, Config{NodeID: "this"})
	for name, holds := range map[string]bool{"deliver": true, "skip": false} {
		b.Run(name, func(b *testing.B) {
			n.holds = func(string) bool { return holds }
			command := redisconn.AppendCommand(nil, "message", 3)
			command = redisconn.AppendWord(command, "socket.io#/#red#")
			command = redisconn.AppendWord(command, encode(b, "other", 60, "red"))
			reader := redisconn.NewReader(&endless{text: command}, 64<<10)
			b.ReportAllocs()
			var p redisconn.Push
			var err error
			for b.Loop() {
				if p, err = reader.Push(); err != nil {
					b.Fatal(err)
				}
				a.server().Dispatch(&p)
			}
		})
	}
}

// messages is a connection on which each comes alone.
type messages [][]byte

func (m *messages) Read(b []byte) (int, error) {
	if len(*m) == 0 {
		return 0, io.EOF
	}
	n := copy(b, (*m)[0])
	*m = (*m)[1:]
	return n, nil
}

// What an attachment is must not depend on what is read next.
func TestReceive_AttachmentsOutliveTheBuffer(t *testing.T) {
	for name, cfg := range map[string]Config{"classic": {}, "sharded": {Sharding: &Sharding{}}} {
		a, n := receiver(t, cfg)
		b := adapter.Broadcast{Namespace: "/", Args: packet.Args{
			JSON: []byte(`["file",{"_placeholder":true,"num":0}]`), Attachments: [][]byte{[]byte("first")},
		}}
		m, err := a.dialect.command(b)
		if err != nil {
			t.Fatal(err)
		}
		first := bytes.ReplaceAll(m.Payload, []byte(a.config.NodeID), []byte("another node"))
		second := bytes.ReplaceAll(first, []byte("first"), []byte("after"))
		var reads messages // each is read alone, into the place of the one before
		for _, payload := range [][]byte{first, second} {
			message := redisconn.AppendCommand(nil, "message", 3)
			reads = append(reads, redisconn.AppendWord(redisconn.AppendWord(message, m.Channel), payload))
		}
		reader := redisconn.NewReader(&reads, 4<<10)
		for range 2 {
			p, err := reader.Push()
			if err != nil {
				t.Fatal(err)
			}
			a.server().Dispatch(&p)
		}
		if len(n.commands) != 2 {
			t.Fatalf("%s: %d delivered", name, len(n.commands))
		}
		for i, want := range []string{"first", "after"} {
			if got := n.commands[i].(adapter.Broadcast).Args.Attachments; len(got) != 1 || string(got[0]) != want {
				t.Errorf("%s: attachments %q instead of %q", name, got, want)
			}
		}
	}
}
