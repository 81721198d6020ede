package policy_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio"
)

const base = `
- {event: join, do: [{join: "${args[0]}"}]}
- {event: leave, do: [{leave: "${args[0]}"}]}
- {event: rooms, ack: ["${rooms.filter(r, r != sid)}"]}
- {event: in, ack: ["${args[0] in rooms}"]}
`

func expect(t *testing.T, who string, c *client, want ...string) {
	t.Helper()
	if got := c.events(); !reflect.DeepEqual(got, append([]string(nil), want...)) {
		t.Errorf("%s heard %q, want %q", who, got, want)
	}
}

func TestVerbs_JoinEmitLeave(t *testing.T) {
	w := start(t, rules(base+`
- event: say
  do: [{emit: {to: "${args[0]}", event: said, args: ["${args[1]}"]}}]
- event: whisper
  do: [{emit: {to: "${args[0]}", event: said, args: ["${args[1]}"], exclude_sender: true}}]
- event: except
  do: [{emit: {to: "${args[0]}", event: said, args: ["${args[1]}"], except: "${args[2]}"}}]
`), setup{})
	a, b, outsider := w.connect("/", ""), w.connect("/", ""), w.connect("/", "")
	for _, c := range []*client{a, b} {
		if got := c.ask(`"join","r"`); got != ok {
			t.Fatal(got)
		}
	}
	a.ask(`"say","r",1`)
	expect(t, "a member", b, `["said",1]`)
	expect(t, "the sender", a, `["said",1]`)
	expect(t, "an outsider", outsider)

	a.ask(`"whisper","r",2`)
	expect(t, "a member", b, `["said",2]`)
	expect(t, "the excluded sender", a)

	b.ask(`"join","quiet"`)
	a.ask(`"except","r",3,"quiet"`)
	expect(t, "a member of the excepted room", b)
	expect(t, "the sender", a, `["said",3]`)

	outsider.ask(`"say","r",4`) // a room one is not in
	expect(t, "a member", b, `["said",4]`)
	a.ask(`"say",["r","quiet"],5`)
	expect(t, "a member of both rooms, once", b, `["said",5]`)
	a.ask(`"say","` + outsider.sid + `",6`)
	expect(t, "the socket of that id", outsider, `["said",6]`)

	if got := b.ask(`"leave","r"`); got != ok {
		t.Fatal(got)
	}
	a.ask(`"say","r",7`)
	expect(t, "who left", b)
	if got := b.ask(`"rooms"`); got != `[["quiet"]]` {
		t.Error("rooms after leaving:", got)
	}
}

func TestVerbs_BroadcastReachesEveryoneInTheNamespace(t *testing.T) {
	w := start(t, `
namespaces:
  "/":
    rules:
      - {event: all, do: [{broadcast: {event: message, args: "${args}"}}]}
      - {event: others, do: [{broadcast: {event: message, args: "${args}", exclude_sender: true}}]}
      - {event: some, do: [{broadcast: {event: message, args: "${args}", except: ["${args[0]}", nobody]}}]}
      - {event: nothing, do: [{broadcast: {event: message}}]}
  "/x": {}
`, setup{})
	a, b, x := w.connect("/", ""), w.connect("/", ""), w.connect("/x", "")
	a.ask(`"all",{"b":1.0,"a":2},[]`)
	expect(t, "the sender", a, `["message",{"b":1.0,"a":2},[]]`)
	expect(t, "another", b, `["message",{"b":1.0,"a":2},[]]`)
	expect(t, "another namespace", x)
	a.ask(`"others",1`)
	expect(t, "the excluded sender", a)
	expect(t, "another", b, `["message",1]`)
	a.ask(`"some","` + b.sid + `"`)
	expect(t, "the sender", a, `["message","`+b.sid+`"]`)
	expect(t, "the excepted", b)
	a.ask(`"nothing",1`)
	expect(t, "another", b, `["message"]`)
}

func TestVerbs_ReplyReachesTheSenderOnlyAndBeforeTheAck(t *testing.T) {
	w := start(t, rules(`- {event: hello, do: [{reply: {event: "welcome ${args[0]}", args: ["${sid}"], volatile: true}}]}`), setup{})
	a, b := w.connect("/", ""), w.connect("/", "")
	if got := a.ask(`"hello","ann"`); got != ok {
		t.Error(got)
	}
	if want := `2["welcome ann","` + a.sid + `"]`; len(a.heard) != 1 || a.heard[0] != want {
		t.Errorf("heard before the ack %q, want %q", a.heard, want)
	}
	expect(t, "another", b)
}

func TestVerbs_DisconnectComesBehindTheAck(t *testing.T) {
	for _, what := range []string{"namespace", "connection"} {
		t.Run(what, func(t *testing.T) {
			w := start(t, rules(`- {event: bye, do: [{disconnect: `+what+`}, {reply: {event: last}}], ack: [gone]}
- {event: "*"}`), setup{})
			c := w.connect("/", "")
			if got := c.ask(`"bye"`); got != `["gone"]` {
				t.Error(got)
			}
			if !reflect.DeepEqual(c.heard, []string{`2["last"]`}) {
				t.Errorf("heard %q", c.heard)
			}
			if got := c.next(); got != "1" {
				t.Errorf("then %q, want a DISCONNECT", got)
			}
			if what == "connection" {
				if _, _, err := c.ws.ReadMessage(); err == nil {
					t.Error("the connection stands")
				}
			}
		})
	}
}

func TestVerbs_AttachmentsPassThroughAndAreNumberedAnew(t *testing.T) {
	w := start(t, rules(`
- {event: whole, do: [{broadcast: {event: m, args: "${args}"}}], ack: "${args}"}
- {event: second, do: [{broadcast: {event: m, args: ["${args[1].x}", "${sid == ''}"]}}], ack: ["${args[1]}"]}
- {event: computed, ack: ["${args[0].x + b'!'}", "${size(args[0].x)}", "${args[0].x == b'one'}"]}
- {event: text, ack: ["a${args[0].x}"]}
- {event: mixed, ack: ["${args[0]}", "${b'own'}"]}
- {event: auth, ack: ["${auth}"]}`), setup{})
	a, b := w.connect("/", ""), w.connect("/", "")
	const first, second = `{"x":{"_placeholder":true,"num":0}}`, `{"x":{"num":1,"_placeholder":true}}`

	got := a.ask(`"whole",`+first+`,`+second, []byte("one"), []byte("two"))
	const canonical = `{"x":{"_placeholder":true,"num":1}}`
	if got != "["+first+","+canonical+"]" {
		t.Error("whole:", got)
	}
	if got := a.ask(`"second",`+first+`,`+second, []byte("one"), []byte("two")); got != "["+first+"]" {
		t.Error("second:", got)
	}
	if got := a.ask(`"computed",`+first, []byte("one")); got != `[{"_placeholder":true,"num":0},3,true]` {
		t.Error("computed:", got)
	}
	if got := a.ask(`"text",`+first, []byte("one")); got != refused("invalid", badAck) {
		t.Error("an attachment has no text:", got)
	}
	// What looks like a placeholder but is plain data must not meet attachments: receivers would take it for one.
	if got := a.ask(`"mixed",{"_placeholder":true,"num":7}`); got != refused("invalid", badAck) {
		t.Error("mixed:", got)
	}
	b.ask(`"auth:flush"`)
	if len(b.heard) != 2 || !strings.HasPrefix(b.heard[1], `51-["m",{"_placeholder":true,"num":0},false]`) {
		t.Errorf("another heard %q", b.heard)
	}
	if len(b.binary) != 3 || string(b.binary[2]) != "two" {
		t.Errorf("another received %q", b.binary)
	}
}

func TestRooms(t *testing.T) {
	long := strings.Repeat("x", 256)
	const notARoom = "a room's name must be a string or a whole number"
	for _, c := range []struct{ name, room, send, ack, in string }{
		{"a string", `"${args[0]}"`, `"a"`, ok, `["a"]`},
		{"a whole number counts as its text", `"${args[0]}"`, `42`, ok, `["42"]`},
		{"a whole number with a point", `"${args[0]}"`, `42.0`, ok, `["42"]`},
		{"a list of strings", `"${args[0]}"`, `["a",7,"b"]`, ok, `["a","7","b"]`},
		{"all arguments", `"${args}"`, `"a","b"`, ok, `["a","b"]`},
		{"text around", `"chat:${args[0]}"`, `1`, ok, `["chat:1"]`},
		{"a list of templates", `["${args[0]}", "b", 7]`, `"a"`, ok, `["a","b","7"]`},
		{"256 bytes", `"${args[0]}"`, `"` + long + `"`, ok, `["` + long + `"]`},
		{"its own room", `"${sid}"`, ``, ok, `[]`},
		{"a name like a socket id that the configuration says", `[aaaaaaaaaaaaaaaaaaaa]`, ``, ok, `["aaaaaaaaaaaaaaaaaaaa"]`},

		{"an empty list", `"${args[0]}"`, `[]`, "the list of rooms is empty", `[]`},
		{"an empty name", `"${args[0]}"`, `""`, roomEmpty, `[]`},
		{"an empty name in a list", `"${args[0]}"`, `["a",""]`, roomEmpty, `[]`},
		{"257 bytes", `"${args[0]}"`, `"` + long + `x"`, "a room's name is over 256 bytes", `[]`},
		{"half a number", `"${args[0]}"`, `1.5`, notARoom, `[]`},
		{"null", `"${args[0]}"`, `null`, notARoom, `[]`},
		{"true", `"${args[0]}"`, `true`, notARoom, `[]`},
		{"an object", `"${args[0]}"`, `{}`, notARoom, `[]`},
		{"a list in a list", `"${args[0]}"`, `[["a"]]`, notARoom, `[]`},
		{"a list where one name belongs", `["${args[0]}"]`, `["a"]`, notARoom, `[]`},
		{"nothing", `"${args[0]}"`, ``, badExpression, `[]`},
		{"another socket's own room", `"${args[0]}"`, `"OTHER"`, "the room belongs to another socket", `[]`},
		{"another socket's own room in a list", `"${args[0]}"`, `["a","OTHER"]`, "the room belongs to another socket", `[]`},
		{"another socket's own room put together", `"${args[0]}${args[1]}"`, `"OTHE","R"`, "the room belongs to another socket", `[]`},
		{"another 2.x socket's own room", `"${args[0]}"`, `"/x#OTHER"`, "the room belongs to another socket", `[]`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := start(t, rules(base+"- {event: r, do: [{join: "+c.room+"}]}\n"+
				"- {event: l, do: [{leave: "+c.room+"}]}\n- {event: t, do: [{emit: {to: "+c.room+", event: x, exclude_sender: true}}]}\n"+
				"- {event: x, do: [{broadcast: {except: "+c.room+", event: x, exclude_sender: true}}]}\n"), setup{})
			a, other := w.connect("/", ""), w.connect("/", "")
			send := strings.ReplaceAll(c.send, "OTHER", other.sid)
			send = strings.ReplaceAll(send, `"OTHE","R"`, `"`+other.sid[:5]+`","`+other.sid[5:]+`"`)
			if send != "" {
				send = "," + send
			}
			want := func(verb string) string {
				switch {
				case c.ack == ok:
					return ok
				case c.ack == badExpression:
					return refused("invalid", c.ack)
				case strings.HasPrefix(c.name, "another") && verb != "join":
					return ok // to speak to a socket is no way of listening to it
				}
				return refused("invalid", verb+": "+c.ack)
			}
			if got := a.ask(`"r"` + send); got != want("join") {
				t.Errorf("join: %s, want %s", got, want("join"))
			}
			if got := a.ask(`"rooms"`); got != "["+c.in+"]" {
				t.Errorf("then in %s, want [%s]", got, c.in)
			}
			for event, verb := range map[string]string{"t": "emit", "x": "broadcast", "l": "leave"} {
				if got := a.ask(`"` + event + `"` + send); got != want(verb) {
					t.Errorf("%s: %s, want %s", verb, got, want(verb))
				}
			}
		})
	}
}

func TestReservedEventNamesCannotBeEmitted(t *testing.T) {
	w := start(t, rules(`
- {event: e, do: [{reply: {event: "${args[0]}"}}]}
- {event: f, do: [{broadcast: {event: "dis${args[0]}"}}]}`), setup{})
	c := w.connect("/", "")
	for _, name := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"} {
		if got := c.ask(`"e","` + name + `"`); got != refused("invalid", "reply: "+reservedName) {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := c.ask(`"f","connect"`); got != refused("invalid", "broadcast: "+reservedName) {
		t.Error(got)
	}
	for _, send := range []string{`"e",1`, `"e",null`} {
		if got := c.ask(send); got != refused("invalid", badExpression) {
			t.Errorf("%s: %s", send, got)
		}
	}
	if got := c.ask(`"e","error"`); got != ok {
		t.Error("error is not reserved:", got)
	}
}

func TestRoomLimit_IsOverloaded(t *testing.T) {
	w := start(t, rules(base), setup{config: socketio.Config{MaxRooms: 2}})
	c := w.connect("/", "")
	if got := c.ask(`"join",["a","b","c"]`); got != refused("overloaded", tooManyRooms) {
		t.Error(got)
	}
	if got := c.ask(`"join",["a","b"]`); got != ok {
		t.Error(got)
	}
}
