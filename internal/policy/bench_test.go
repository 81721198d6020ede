package policy

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/go-json-experiment/json/jsontext"
)

// quiet is a socket that does nothing.
type quiet struct {
	nsp  string
	sent int
}

const quietID = "tagaBCDEFGHIJKLMNOPQ"

func (*quiet) ID() string                             { return quietID }
func (q *quiet) Nsp() string                          { return q.nsp }
func (*quiet) Auth() packet.Args                      { return packet.Args{JSON: []byte(`{"user":"ann"}`)} }
func (*quiet) Rooms(dst []string) []string            { return append(dst, quietID, "chat:1") }
func (*quiet) In(room string) bool                    { return room == "chat:1" || room == quietID }
func (*quiet) Join(...string) error                   { return nil }
func (*quiet) JoinThen(done func(error), _ ...string) { done(nil) }
func (*quiet) Stored(done func(error))                { done(nil) }
func (*quiet) Leave(...string)                        {}
func (*quiet) Context() context.Context               { return nil }
func (*quiet) Disconnect()                            {}
func (*quiet) CloseConnection()                       {}
func (*quiet) SendAway()                              {}
func (*quiet) Closed() <-chan struct{}                { return nil }
func (*quiet) DisconnectWith(conn.Reason)             {}
func (q *quiet) EmitArgs(packet.Args, bool)           { q.sent++ }

func (*quiet) Handshake() engine.Handshake {
	return engine.Handshake{
		Address: "192.0.2.1", Query: url.Values{"EIO": {"4"}},
		Headers: http.Header{"User-Agent": {"test"}, "Cookie": {"a=1", "b=2"}},
	}
}

func (*quiet) Recipients(*message) int { return 0 }

func (q *quiet) Send(_ *message, done func(error)) error {
	q.sent++
	if done != nil {
		done(nil)
	}
	return nil
}

var noArgs packet.Args

// answers is an acknowledgement that remembers what it was.
type answers struct {
	wanted bool
	args   packet.Args
	count  int
}

func (a *answers) Wanted() bool { return a.wanted }
func (a *answers) SendArgs(args packet.Args) error {
	a.args, a.count = args, a.count+1
	return nil
}

func newQuietLogic(t testing.TB, yaml string) *logic {
	t.Helper()
	c, _, err := config.Load(config.Source{File: []byte(yaml)})
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Namespaces: c.Namespaces}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &logic{policy: p, client: client{socket: &quiet{nsp: "/"}}, shared: new(conn.Values)}
}

const benchRules = `
namespaces:
  "/":
    rules:
      - {event: join, if: 'args[0].startsWith("chat:")', do: [{join: "${args[0]}"}]}
      - {event: message, do: [{broadcast: {event: message, args: "${args}"}}]}
      - {event: typing, if: "args[0] in rooms", do: [{emit: {to: "${args[0]}", event: typing, args: ["${sid}"], exclude_sender: true}}]}
      - {event: echo, ack: "${args}"}
      - {event: sum, ack: ["${args[0].n + 1}"]}
      - {event: "*", deny: "no"}
`

var benchEvents = []struct {
	event, args string
	allocations float64 // at most
}{
	{"join", `["chat:general"]`, 7},
	{"message", `[{"text":"hello, world","at":1700000000000,"tags":["a","b"]}]`, 3},
	{"typing", `["chat:1"]`, 13},
	{"echo", `[{"text":"hello, world"}]`, 1},
	{"sum", `[{"n":41}]`, 8},
	{"unknown", `[]`, 2},
}

func BenchmarkEvent(b *testing.B) {
	for _, e := range benchEvents {
		b.Run(e.event, func(b *testing.B) {
			m, args := newQuietLogic(b, benchRules), packet.Args{JSON: []byte(e.args)}
			b.ReportAllocs()
			for b.Loop() {
				m.event(e.event, args, &answers{})
			}
		})
	}
}

func TestEvent_CostsFewAllocations(t *testing.T) {
	if raceEnabled {
		t.Log("the race detector allocates")
		return
	}
	for _, e := range benchEvents {
		m, args := newQuietLogic(t, benchRules), packet.Args{JSON: []byte(e.args)}
		if got := testing.AllocsPerRun(100, func() { m.event(e.event, args, &answers{}) }); got > e.allocations {
			t.Errorf("%s: %v allocations, at most %v", e.event, got, e.allocations)
		}
	}
}

const fuzzRules = `
namespaces:
  "/":
    connect: {if: "auth.user == 'ann'"}
    rules:
      - {event: join, do: [{join: "${args[0]}"}, {join: "${args}"}, {leave: ["${args[1]}", "x${args[0]}"]}]}
      - {event: emit, do: [{emit: {to: "${args[0]}", event: "${args[1]}", args: "${args[2]}", except: "${args[3]}"}}]}
      - {event: reply, do: [{reply: {event: "e${args[0]}", args: [{a: "${args}", b: ["${args[1].x.y}", "${args[0][1]}"]}]}}]}
      - {event: loops, if: "args.all(a, a != null)", ack: ["${args.map(a, a)}", "${args[0].exists(k, k == 'a')}"]}
      - {event: compare, if: "args[0] == args[1] || args[0] in args[1]", ack: ["${args + [args, {'k': args}]}"]}
      - {event: types, ack: ["${type(args[0]) == string}", "${string(args[0])}", "${int(args[1])}", "${bytes(args[0])}", "${double(args[1])}"]}
      - {event: matches, if: "args[0].matches(args[1])", ack: "${args[2]}"}
      - {event: schema, schema: {items: {anyOf: [{type: integer, multipleOf: 3}, {type: object, minProperties: 1}, {type: string, pattern: a}]}, uniqueItems: true}}
      - {event: map, ack: "${args[0].map(k, {k: args[0][k]})}"}
      - {event: "*", if: "event.size() > 3", deny: "no ${event}"}
`

// Whatever a client sends, a rule neither panics nor leaves it without its one answer, and what it sends is valid.
func FuzzEvent(f *testing.F) {
	events := []string{"join", "emit", "reply", "loops", "compare", "types", "matches", "schema", "map", "other", "auth:x"}
	for _, event := range events {
		for _, args := range []string{
			`[]`, `["a","b"]`, `[1,1.5,"x",null]`, `[{"a":{"x":{"y":[1]}}},{"x":{"y":2}}]`, `[["a",["b"]],["a"],[[]]]`, `["(a+)+$","a*"]`,
			`["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`, `[1e400,-0,99999999999999999999]`, `["\ud800",{"\u0061":1,"a":2}]`,
			`[true,false]`, `[{"a":1},{"a":1}]`,
		} {
			f.Add(event, args, 2)
		}
	}
	m := newQuietLogic(f, fuzzRules)
	f.Fuzz(func(t *testing.T, event, args string, attachments int) {
		if !jsontext.Value(args).IsValid() || !strings.HasPrefix(args, "[") || !strings.HasSuffix(args, "]") {
			return // the packet codec lets nothing else through
		}
		list := packet.Args{JSON: []byte(args)}
		for i := range min(attachments, 3) {
			list.Attachments = append(list.Attachments, []byte{byte(i)})
		}
		ack := &answers{wanted: true}
		m.leaving = false
		m.event(event, list, ack)
		if ack.count != 1 {
			t.Fatalf("%d answers", ack.count)
		}
		if !jsontext.Value(ack.args.JSON).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) || ack.args.JSON[0] != '[' {
			t.Fatalf("answered by %q", ack.args.JSON)
		}
	})
}
