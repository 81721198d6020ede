package policy_test

import (
	"errors"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio"
)

func TestOrder_IfRateSchemaExpressions(t *testing.T) {
	w := start(t, rules(`
- event: e
  if: "size(args) > 0"
  rate: 3/h
  schema: {minItems: 2, items: {type: [string, number]}, prefixItems: [{type: string}]}
  do: [{reply: {event: "${args[0]}"}}]
  ack: ["${args[2]}"]
- {event: e, ack: [later]}`), setup{})
	c := w.connect("/", "")
	for _, step := range []struct{ send, ack string }{
		{`"e"`, `["later"]`},                       // if is false: the bucket is not touched
		{`"e"`, `["later"]`},                       //
		{`"e","x"`, refused("invalid", badSchema)}, // takes a token, then fails the schema
		{`"e","disconnect",2`, refused("invalid", "reply: "+reservedName)}, // then an action's expression
		{`"e","x",2,3`, `[3]`},                                // the third token
		{`"e","x",2,3`, refused("overloaded", tooManyEvents)}, // no later rule is tried
		{`"e","x"`, refused("overloaded", tooManyEvents)},     // the schema is not asked
	} {
		if got := c.ask(step.send); got != step.ack {
			t.Errorf("%s: %s, want %s", step.send, got, step.ack)
		}
	}
	if got := w.connect("/", "").ask(`"e","x",2,3`); got != `[3]` {
		t.Error("another connection has a bucket of its own:", got)
	}
}

func TestRate_EachRuleHasItsOwnBucket(t *testing.T) {
	w := start(t, rules("- {event: a, rate: 1/h}\n- {event: b, rate: 1/h}"), setup{})
	c := w.connect("/", "")
	for _, step := range []struct{ send, ack string }{
		{`"b"`, ok}, {`"a"`, ok}, {`"a"`, refused("overloaded", tooManyEvents)}, {`"b"`, refused("overloaded", tooManyEvents)},
	} {
		if got := c.ask(step.send); got != step.ack {
			t.Errorf("%s: %s, want %s", step.send, got, step.ack)
		}
	}
}

// What a client may do per second is no more for one that leaves and comes back, or that uses another namespace of the
// same key.
func TestRate_BelongsToTheConnection(t *testing.T) {
	w := start(t, `namespaces: {"/": {rules: [{event: a, rate: 1/h}]}, "/t-*": {rules: [{event: a, rate: 1/h}]}}`, setup{})
	c := w.connect("/", "")
	for i, want := range []string{ok, refused("overloaded", tooManyEvents)} {
		if got := c.ask(`"a"`); got != want {
			t.Errorf("stay %d: %s, want %s", i+1, got, want)
		}
		c.write("41")
		c.join("/", "")
	}
	for i, nsp := range []string{"/t-1", "/t-2"} {
		c.join(nsp, "")
		want := []string{ok, refused("overloaded", tooManyEvents)}[i]
		if got := c.ask(`"a"`); got != want {
			t.Errorf("in %s: %s, want %s", nsp, got, want)
		}
	}
	if got := w.connect("/", "").ask(`"a"`); got != ok {
		t.Error("another connection:", got)
	}
}

// A reload fills no bucket but those of rules whose rate it changes, wherever they stand then.
func TestRate_SurvivesAReload(t *testing.T) {
	w := start(t, rules(`
- {event: a, rate: 1/h}
- {event: b, rate: 1/h}
- {name: named, event: c, rate: 1/h}
- {name: gone, event: d, rate: 1/h}`), setup{})
	c := w.connect("/", "")
	for _, event := range []string{`"a"`, `"b"`, `"c"`, `"d"`} {
		if got := c.ask(event); got != ok {
			t.Fatal(got)
		}
	}
	if err := w.policy.Replace(load(t, rules(`
- {event: new, rate: 1/h}
- {name: named, event: [c, e], rate: 1/h}
- {event: b, rate: 2/h}
- {event: a, if: "true", rate: 1/h}`))); err != nil {
		t.Fatal(err)
	}
	over := refused("overloaded", tooManyEvents)
	for _, step := range []struct{ send, ack string }{
		{`"a"`, over}, {`"e"`, over}, {`"b"`, ok}, {`"b"`, ok}, {`"b"`, over}, {`"new"`, ok}, {`"new"`, over},
	} {
		if got := c.ask(step.send); got != step.ack {
			t.Errorf("%s: %s, want %s", step.send, got, step.ack)
		}
	}
	if err := w.policy.Replace(load(t, rules(`- {name: gone, event: d, rate: 1/h}`))); err != nil {
		t.Fatal(err)
	}
	if got := c.ask(`"d"`); got != ok {
		t.Error("the bucket of a rule that was gone is kept:", got)
	}
}

// What a rule adds to a client's value must not make another node refuse what this one delivers.
func TestDepth_IsRefusedAtTheSender(t *testing.T) {
	w := start(t, rules(`- {event: e, do: [{broadcast: {event: m, args: [{a: ["${args[0]}"]}]}}]}`), setup{options: policy.Options{MaxDepth: 20}})
	c := w.connect("/", "")
	nested := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for depth, want := range map[int]string{17: ok, 18: refused("invalid", "broadcast: the arguments are nested too deep")} {
		if got := c.ask(`"e",` + nested(depth)); got != want {
			t.Errorf("%d: %s, want %s", depth, got, want)
		}
	}
}

func TestSchema(t *testing.T) {
	w := start(t, rules(`
- event: e
  schema:
    type: array
    minItems: 1
    prefixItems:
      - {type: object, required: [text], properties: {text: {type: string, pattern: "^[a-z]+$"}, n: {type: integer, maximum: 10}}}
      - {$ref: "#/$defs/name"}
    uniqueItems: true
    $defs: {name: {enum: [ann, 1, null]}}
`), setup{})
	c := w.connect("/", "")
	bad := refused("invalid", badSchema)
	for send, want := range map[string]string{
		`{"text":"abc$"}`:             bad,
		`{"text":1}`:                  bad,
		`{"n":1}`:                     bad,
		``:                            bad,
		`{"text":"a","n":1e400}`:      bad,
		`{"text":"a","n":1e99999999}`: bad,
		`{"text":"a","n":-99999999999999999999999}`: ok,
	} {
		if send != "" {
			send = "," + send
		}
		if got := c.ask(`"e"` + send); got != want {
			t.Errorf("%s: %s, want %s", send, got, want)
		}
	}
	w = start(t, rules(`- {event: e, schema: {prefixItems: [{type: array, items: {type: integer}}]}}`), setup{})
	c = w.connect("/", "")
	for values, want := range map[int]string{19_000: ok, 20_000: refused("invalid", tooCostly)} {
		if got := c.ask(`"e",` + bigList(values)); got != want {
			t.Errorf("%d values: %s, want %s", values, got, want)
		}
	}
	w = start(t, rules(`- {event: e, schema: {prefixItems: [{type: integer}, {enum: [ann, 1, null]}], uniqueItems: true}}`), setup{})
	c = w.connect("/", "")
	for send, want := range map[string]string{
		`1,"ann"`: ok, `1.0,null`: ok, `1.5`: bad, `1,1`: bad, `2,1`: ok, `"1"`: bad, `1,2`: bad, `{"a":[true,false,null]}`: bad,
	} {
		if got := c.ask(`"e",` + send); got != want {
			t.Errorf("%s: %s, want %s", send, got, want)
		}
	}
}

func TestOrder_AllExpressionsAreEvaluatedBeforeAnyAction(t *testing.T) {
	w := start(t, rules(base+`
- {event: fails, do: [{join: a}, {reply: {event: x}}, {reply: {event: y, args: ["${args[0]}"]}}]}
- {event: ackfails, do: [{join: a}, {reply: {event: x}}], ack: ["${args[0]}"]}
- {event: before, do: [{join: a}, {reply: {event: x, args: ["${rooms.size()}"]}}], ack: ["${rooms.size()}", "${'a' in rooms}"]}`), setup{})
	c := w.connect("/", "")
	if got := c.ask(`"fails"`); got != refused("invalid", badExpression) {
		t.Error(got)
	}
	if got := c.ask(`"ackfails"`); got != refused("invalid", badAck) {
		t.Error(got)
	}
	c.emit(`"fails"`)
	c.emit(`"ackfails"`)
	expect(t, "the sender", c)
	if got := c.ask(`"rooms"`); got != `[[]]` {
		t.Error("an earlier action was done:", got)
	}
	if got := c.ask(`"before"`); got != `[1,false]` {
		t.Error("rooms are not as the event came in:", got)
	}
	if got := c.events(); !reflect.DeepEqual(got, []string{`["x",1]`}) {
		t.Error(got)
	}
}

func TestOrder_TheFirstActionThatFailsEndsTheRuleAndEarlierOnesStand(t *testing.T) {
	w := start(t, rules(base+`- {event: e, do: [{reply: {event: x}}, {join: a}, {join: [b, c]}, {reply: {event: y}}, {join: d}]}
- {event: e}`), setup{config: socketio.Config{MaxRooms: 2}})
	for _, wanted := range []bool{true, false} {
		c := w.connect("/", "")
		if !wanted {
			c.emit(`"e"`)
		} else if got := c.ask(`"e"`); got != refused("overloaded", tooManyRooms) {
			t.Error(got)
		}
		expect(t, "the sender", c, `["x"]`)
		if got := c.ask(`"rooms"`); got != `[["a"]]` {
			t.Error("rooms:", got)
		}
	}
}

func TestAck_ErrorsOfTheClusterHaveTheirCodes(t *testing.T) {
	for _, c := range []struct {
		err error
		ack string
	}{
		{adapter.ErrFull, refused("overloaded", clusterFull)},
		{adapter.ErrAway, refused("unavailable", clusterAway)},
		{adapter.ErrUnknown, refused("unavailable", clusterAway)},
		{errors.New("something else"), refused("unavailable", clusterAway)},
	} {
		cl := newCluster()
		fail := func(done func(error)) { done(c.err) }
		cl.publish, cl.confirm = fail, fail
		w := start(t, rules(base+`- {event: say, do: [{broadcast: {event: m}}], ack: [fine]}
- {event: to, do: [{emit: {to: r, event: m}}]}
- {event: reply, do: [{reply: {event: m}}]}
- {event: bye, do: [{broadcast: {event: m}}, {disconnect: namespace}]}`), setup{config: socketio.Config{Adapter: cl}})
		client := w.connect("/", "")
		for _, send := range []string{`"join","a"`, `"say"`, `"to"`} {
			if got := client.ask(send); got != c.ack {
				t.Errorf("%v: %s: %s, want %s", c.err, send, got, c.ack)
			}
		}
		for _, send := range []string{`"leave","b"`, `"reply"`} {
			if got := client.ask(send); got != ok {
				t.Errorf("%v: %s: %s", c.err, send, got)
			}
		}
		if got := client.ask(`"rooms"`); got != `[["a"]]` {
			t.Error("a join counts here at once:", got)
		}
	}
}

// hold keeps confirmations until they are let go.
type hold struct {
	mu      sync.Mutex
	waiting []func(error)
	came    chan struct{}
}

func newHold() *hold { return &hold{came: make(chan struct{}, 100)} }

func (h *hold) take(done func(error)) {
	h.mu.Lock()
	h.waiting = append(h.waiting, done)
	h.mu.Unlock()
	h.came <- struct{}{}
}

func (h *hold) release(i int, err error) {
	h.mu.Lock()
	done := h.waiting[i]
	h.mu.Unlock()
	done(err)
}

func TestAck_GoesOutWhenEveryConfirmationHasCome(t *testing.T) {
	held := newHold()
	cl := newCluster()
	cl.confirm, cl.publish = held.take, held.take
	w := start(t, rules(base+`- {event: e, do: [{join: a}, {broadcast: {event: m}}, {join: b}, {reply: {event: last}}], ack: [done]}`),
		setup{config: socketio.Config{Adapter: cl}})
	for _, c := range []struct {
		settle []error // in the order 2, 0, 1
		ack    string
	}{
		{[]error{nil, nil, nil}, `["done"]`},
		{[]error{adapter.ErrAway, nil, adapter.ErrFull}, refused("overloaded", clusterFull)}, // the first in the rule decides
		{[]error{adapter.ErrFull, adapter.ErrAway, nil}, refused("unavailable", clusterAway)},
	} {
		client := w.connect("/", "")
		held.waiting = nil
		client.write(`4299["e"]`)
		for range 3 {
			<-held.came
		}
		// The actions were all done, and the client's next events are served: nothing blocks.
		if got := client.ask(`"rooms"`); got != `[["a","b"]]` {
			t.Error(got)
		}
		if want := []string{`2["m"]`, `2["last"]`}; !reflect.DeepEqual(client.heard, want) {
			t.Errorf("heard %q before the ack, want %q", client.heard, want)
		}
		for i, k := range []int{2, 0, 1} {
			held.release(k, c.settle[i])
			held.release(k, nil) // a second call changes nothing
		}
		if got := client.next(); got != "399"+c.ack {
			t.Errorf("%v: %s, want %s", c.settle, got, c.ack)
		}
	}
}

func TestAck_WhoAskedForNoneWaitsForNothing(t *testing.T) {
	held := newHold()
	cl := newCluster()
	cl.confirm, cl.publish = held.take, held.take
	w := start(t, rules(base+`- {event: e, do: [{join: a}, {broadcast: {event: m}}, {disconnect: namespace}]}`),
		setup{config: socketio.Config{Adapter: cl}})
	client := w.connect("/", "")
	client.emit(`"e"`)
	if got := client.next(); got != `2["m"]` {
		t.Error(got)
	}
	if got := client.next(); got != "1" {
		t.Error("the disconnect waited:", got)
	}
	if len(held.waiting) > 0 {
		t.Error("a confirmation was asked for that nobody needs")
	}
}

func TestDisconnect_IsNotDoneAfterAnActionThatFailed(t *testing.T) {
	w := start(t, rules(base+`- {event: bye, do: [{join: [a, b]}, {disconnect: namespace}]}`), setup{config: socketio.Config{MaxRooms: 1}})
	client := w.connect("/", "")
	client.emit(`"bye"`)
	if got := client.ask(`"bye"`); got != refused("overloaded", tooManyRooms) {
		t.Error(got)
	}
	if got := client.ask(`"join","c"`); got != ok {
		t.Error("events after it are not served:", got)
	}
}

func TestDisconnect_NoEventIsServedWhileItsAckIsAwaited(t *testing.T) {
	held := newHold()
	cl := newCluster()
	cl.publish = held.take
	w := start(t, rules(base+`- {event: bye, do: [{disconnect: namespace}, {broadcast: {event: m}}]}`),
		setup{config: socketio.Config{Adapter: cl}})
	client := w.connect("/", "")
	client.write(`4299["bye"]`)
	<-held.came
	if got := client.ask(`"join","a"`); got != refused("denied", "the socket is being disconnected") {
		t.Error(got)
	}
	held.release(0, adapter.ErrAway)
	if got := client.next(); got != "399"+refused("unavailable", clusterAway) {
		t.Error(got)
	}
	if got := client.next(); got != "1" {
		t.Errorf("%q, want a DISCONNECT", got)
	}
}
