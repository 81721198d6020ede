package policy_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio"
)

func connectError(code, message string) string {
	return fmt.Sprintf(`4{"message":%q,"data":{"code":%q,"message":%q}}`, message, code, message)
}

// inRoot is the configuration of / with this text, indented by nothing.
func inRoot(yaml string) string {
	return "namespaces:\n  \"/\":\n    " + strings.ReplaceAll(strings.TrimSpace(yaml), "\n", "\n    ") + "\n"
}

func TestConnect_IfDecides(t *testing.T) {
	for _, c := range []struct{ name, connect, auth, answer string }{
		{"true", `if: auth.key == "k"`, `{"key":"k"}`, ""},
		{"false", `if: auth.key == "k"`, `{"key":"x"}`, connectError("denied", connectRefused)},
		{"failing", `if: auth.key == "k"`, ``, connectError("invalid", badCondition)},
		{"a missing claim", `if: claims.tenant == "acme"`, ``, connectError("invalid", badCondition)},
		{"no boolean", `if: auth.key`, `{"key":"x"}`, connectError("invalid", badCondition)},
		{"anyone", `require: anyone`, ``, ""},
		{"a failing expression of a join", `do: [{join: "user:${auth.id}"}]`, `{}`, connectError("invalid", badExpression)},
		{"a room that is none", `do: [{join: "${auth.id}"}]`, `{"id":""}`, connectError("invalid", "join: "+roomEmpty)},
		{"a failing expression of another action", `do: [{join: a}, {reply: {event: x, args: ["${auth.id}"]}}]`, `{}`,
			connectError("invalid", badExpression)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := start(t, inRoot("connect:\n  "+c.connect), setup{})
			got := w.dial(nil).tryJoin("/", c.auth)
			if c.answer == "" && !strings.HasPrefix(got, `0{"sid":`) || c.answer != "" && got != c.answer {
				t.Errorf("CONNECT%s is answered by %s, want %s", c.auth, got, c.answer)
			}
		})
	}
}

func TestConnect_JoinsThenAnswerThenOtherActionsInOrder(t *testing.T) {
	w := start(t, inRoot(`
connect:
  do:
    - reply: {event: first, args: ["${rooms.size()}"]}
    - join: "user:${auth.id}"
    - broadcast: {event: notification, args: [{id: "${sid}", message: joined}], exclude_sender: true}
    - emit: {to: "user:${auth.id}", event: hello}
    - join: [a, "${nsp}"]
rules:
  - {event: rooms, ack: ["${rooms.filter(r, r != sid)}"]}
`), setup{})
	other := w.connect("/", `{"id":1}`)
	expect(t, "the first", other, `["first",1]`, `["hello"]`)
	c := w.connect("/", `{"id":2}`)
	expect(t, "who connects", c, `["first",1]`, `["hello"]`)
	expect(t, "another", other, `["notification",{"id":"`+c.sid+`","message":"joined"}]`)
	if got := c.ask(`"rooms"`); got != `[["user:2","a","/"]]` {
		t.Error(got)
	}
}

func TestConnect_WaitsForItsJoinsToBeConfirmed(t *testing.T) {
	held := newHold()
	cl := newCluster()
	cl.confirm = held.take
	w := start(t, inRoot(`connect: {do: [{join: a}, {join: b}, {reply: {event: x}}]}`), setup{config: socketio.Config{Adapter: cl}})
	c := w.dial(nil)
	c.write("40")
	<-held.came
	<-held.came
	released := make(chan struct{})
	go func() {
		defer close(released)
		held.release(0, nil)
		held.release(1, adapter.ErrAway) // passes by itself: no refusal
	}()
	if got := c.next(); !strings.HasPrefix(got, `0{"sid":`) {
		t.Error(got)
	}
	<-released
	if got := c.next(); got != `2["x"]` {
		t.Error(got)
	}
}

func TestConnect_DoesNotWaitForAClusterThatIsAway(t *testing.T) {
	cl := newCluster()
	cl.confirm = func(func(error)) {} // never
	w := start(t, inRoot(`
connect: {do: [{join: a}]}
rules: [{event: in, ack: ["${'a' in rooms}"]}]`), setup{
		config:  socketio.Config{Adapter: cl},
		options: policy.Options{Connected: func() bool { return false }},
	})
	if got := w.connect("/", "").ask(`"in"`); got != `[true]` {
		t.Error(got)
	}
}

func TestConnect_ClientThatLeavesWhileItsJoinsAreAwaitedIsLetGo(t *testing.T) {
	held := newHold()
	cl := newCluster()
	cl.confirm = held.take
	w := start(t, inRoot(`connect: {do: [{join: a}]}`), setup{config: socketio.Config{Adapter: cl}})
	c := w.dial(nil)
	c.write("40")
	<-held.came
	_ = c.ws.Close() // goleak finds the middleware if it stays
	w.io.Close()
}

func TestConnect_ALimitClosesTheConnectionInsteadOfRefusing(t *testing.T) {
	w := start(t, inRoot(`connect: {do: [{join: [a, b]}]}`), setup{config: socketio.Config{MaxRooms: 1}})
	c := w.dial(nil)
	c.write("40")
	for {
		_, data, err := c.ws.ReadMessage()
		if err != nil {
			break // clients come back from that; from a CONNECT_ERROR they do not
		}
		if strings.HasPrefix(string(data), "4") {
			t.Fatalf("answered by %s", data)
		}
	}
}

func TestDisconnect_DoRunsWhileTheRoomsStandAndKnowsTheReason(t *testing.T) {
	w := start(t, inRoot(`
connect: {do: [{join: a}]}
rules: [{event: bye, do: [{disconnect: namespace}]}]
disconnect:
  do:
    - broadcast: {event: left, args: ["${sid}", "${reason}", "${'a' in rooms}", "${rooms.size()}"]}
    - emit: {to: a, event: also, exclude_sender: true}
`), setup{})
	a := w.connect("/", "")
	for reason, leave := range map[string]func(*client){
		"client namespace disconnect": func(c *client) { c.write("41") },
		"server namespace disconnect": func(c *client) { c.emit(`"bye"`) },
		"transport close":             func(c *client) { _ = c.ws.Close() },
	} {
		c := w.connect("/", "")
		leave(c)
		got := []string{a.next(), a.next()}
		if want := []string{`2["left","` + c.sid + `","` + reason + `",true,2]`, `2["also"]`}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s: heard %q, want %q", reason, got, want)
		}
	}
}

func TestDisconnect_AnExpressionThatFailsIsCountedAndNothingIsDone(t *testing.T) {
	w := start(t, inRoot(`
disconnect:
  do:
    - broadcast: {event: left}
    - broadcast: {event: "${claims.sub}"}
`), setup{})
	a, c := w.connect("/", ""), w.connect("/", "")
	c.write("41")
	w.await(`carillon_rule_decisions_total{decision="invalid",namespace="/",rule="disconnect"}`)
	expect(t, "another", a)
}
