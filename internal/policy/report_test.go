package policy_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/test/await"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// counts returns the decision counters, by their name as Prometheus writes it.
func (w *world) counts() map[string]float64 {
	w.t.Helper()
	families, err := w.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			all[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = m.GetCounter().GetValue()
		}
	}
	return all
}

// await waits until a counter is 1.
func (w *world) await(name string) {
	w.t.Helper()
	await.True(w.t, name+" is 1", func() bool { return w.counts()[name] == 1 })
}

func TestMetrics_EveryRuleAndDecisionIsThereFromTheStart(t *testing.T) {
	w := start(t, `
namespaces:
  "/x-*":
    rules:
      - {event: [join, "j*"]}
      - {name: mine, event: a}
`, setup{})
	want := map[string]float64{}
	for _, d := range []string{"allowed", "denied", "invalid", "limited", "failed"} {
		for _, s := range []string{`"/x-*",rule="1 join,j*"`, `"/x-*",rule="mine"`, `"/x-*",rule="no rule"`, `"/x-*",rule="connect"`,
			`"/x-*",rule="disconnect"`, `"/x-*",rule="auth:refresh"`, `"/",rule="auth:refresh"`, `"/",rule="no rule"`, `"/",rule="connect"`, `"/",rule="disconnect"`, `"unknown",rule="connect"`, `"removed",rule="no rule"`} {
			want[`carillon_rule_decisions_total{decision="`+d+`",namespace=`+s+`}`] = 0
		}
	}
	if got := w.counts(); !maps.Equal(got, want) {
		t.Errorf("metrics are\n%v, want\n%v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
}

func TestMetrics_DecisionsAreCountedByRule(t *testing.T) {
	w := start(t, rules(base+`
- {event: e, if: "args[0]", rate: 1/h}
- {name: never, event: n, deny: no}
`), setup{})
	c := w.connect("/", "")
	for _, send := range []string{`"e",true`, `"e",true`, `"e",1`, `"n"`, `"e",false`, `"join","a"`, `"join",null`} {
		c.ask(send)
	}
	got := w.counts()
	maps.DeleteFunc(got, func(_ string, v float64) bool { return v == 0 })
	want := map[string]float64{}
	for _, s := range []string{
		`"allowed",namespace="/",rule="5 e"`, `"limited",namespace="/",rule="5 e"`, `"invalid",namespace="/",rule="5 e"`,
		`"denied",namespace="/",rule="never"`, `"denied",namespace="/",rule="no rule"`,
		`"allowed",namespace="/",rule="1 join"`, `"invalid",namespace="/",rule="1 join"`, `"allowed",namespace="/",rule="connect"`,
	} {
		want["carillon_rule_decisions_total{decision="+s+"}"] = 1
	}
	if !maps.Equal(got, want) {
		t.Errorf("metrics are\n%v, want\n%v", got, want)
	}
}

// refusals returns the records of refusals so far, without what is not compared.
func (w *world) refusals() []policy.Decision {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []policy.Decision
	for _, d := range w.decisions {
		if d.Code != "" {
			all = append(all, policy.Decision{Namespace: d.Namespace, SID: d.SID, Event: d.Event, Rule: d.Rule, Code: d.Code, Message: d.Message, Cause: d.Cause})
		}
	}
	return all
}

func TestOnDecision_HasEveryRefusalWithItsReason(t *testing.T) {
	w := start(t, rules(`- {event: e, ack: ["${args[0]}"]}`), setup{})
	c := w.connect("/", "")
	c.ask(`"e"`)
	c.emit(`"unknown"`)
	c.ask(`"e",1`)
	if got := w.dial(nil).tryJoin("/nowhere", ""); got != `4/nowhere,{"message":"Invalid namespace"}` {
		t.Error(got)
	}
	refusals := w.refusals()
	if len(refusals) != 3 {
		t.Fatalf("%+v", refusals)
	}
	if cause := refusals[0].Cause; cause == nil || cause.Error() != "no element 0" {
		t.Error("cause:", cause)
	}
	refusals[0].Cause = nil
	if want := []policy.Decision{
		{Namespace: "/", SID: c.sid, Event: "e", Rule: "1 e", Code: policy.Invalid, Message: badAck},
		{Namespace: "/", SID: c.sid, Event: "unknown", Rule: "no rule", Code: policy.Denied, Message: noRule},
		{Namespace: "/nowhere", Rule: "connect", Code: policy.Denied, Message: "Invalid namespace"},
	}; !reflect.DeepEqual(refusals, want) {
		t.Errorf("%+v, want %+v", refusals, want)
	}
	w.await(`carillon_rule_decisions_total{decision="denied",namespace="unknown",rule="connect"}`)
}

func TestOnDecision_RecordsWhatWasTriedAndDone(t *testing.T) {
	w := start(t, rules(`
- {event: other}
- {event: say, if: "size(args) == 2 && args[0] in rooms", do: [{emit: {to: "${args[0]}", event: said, args: ["${args[1]}"]}}]}
- {name: loud, event: "s*", do: [{join: "${args[0]}"}, {broadcast: {event: said, exclude_sender: true}}], ack: [fine]}`), setup{})
	a := w.connect("/", "")
	w.connect("/", "")
	a.ask(`"say","r"`)
	a.ask(`"say","r",1`)
	a.ask(`"say","nobody"`)
	w.mu.Lock()
	defer w.mu.Unlock()
	var got []string
	for _, d := range w.decisions {
		if d.Event == "" {
			continue
		}
		line := fmt.Sprintf("%s%s by %s:", d.Event, d.Args.JSON, d.Rule)
		for _, r := range d.Trials {
			line += fmt.Sprintf(" [%s %v %v", r.Rule, r.Matches, r.Holds)
			for _, term := range r.Terms {
				line += fmt.Sprintf(" %s=%s%v", term.Source, term.Value, term.Err)
			}
			line += "]"
		}
		for _, x := range d.Actions {
			line += fmt.Sprintf(" %s%q to %d", x.Verb, x.Rooms, x.Recipients)
		}
		got = append(got, line+" "+string(d.Ack.JSON))
	}
	want := []string{
		`say["r"] by loud: [1 other false false] [2 say true false size(args) == 2=false<nil> size(args)=1<nil> args[0] in rooms=false<nil>` +
			` args[0]="r"<nil> rooms=["SID"]<nil>] [loud true true] join["r"] to -1 broadcast[] to 1 ["fine"]`,
		`say["r",1] by 2 say: [1 other false false] [2 say true true size(args) == 2=true<nil> size(args)=2<nil> args[0] in rooms=true<nil>` +
			` args[0]="r"<nil> rooms=["SID", "r"]<nil>] emit["r"] to 1 [{"ok":true}]`,
		`say["nobody"] by loud: [1 other false false] [2 say true false size(args) == 2=false<nil> size(args)=1<nil> args[0] in rooms=false<nil>` +
			` args[0]="nobody"<nil> rooms=["SID", "r"]<nil>] [loud true true] join["nobody"] to -1 broadcast[] to 1 ["fine"]`,
	}
	for i := range want {
		want[i] = strings.ReplaceAll(want[i], "SID", a.sid)
	}
	if !slices.Equal(got, want) {
		t.Errorf("recorded\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLog_AtDebugEveryDecisionIsOneLineWithItsSocketAndCause(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	w := start(t, rules(`
- {event: a, ack: ["${args[0].n}"]}
- {event: b, do: [{emit: {to: "empty", event: x}}]}`), setup{options: policy.Options{Logger: zap.New(core)}})
	c := w.connect("/", "")
	logs.TakeAll()
	c.ask(`"a"`)
	c.ask(`"a",{}`)
	c.ask(`"b"`)
	var got []string
	for _, e := range logs.All() {
		if e.Level == zapcore.DebugLevel {
			got = append(got, fmt.Sprint(e.Message, " ", e.ContextMap()))
		}
	}
	want := []string{
		"refused map[cause:no element 0 code:invalid event:a message:" + badAck + " namespace:/ rule:1 a sid:" + c.sid + "]",
		"refused map[cause:no such key: n code:invalid event:a message:" + badAck + " namespace:/ rule:1 a sid:" + c.sid + "]",
		`done map[action 1:emit ["empty"]: 0 recipients on this node event:b namespace:/ rule:2 b sid:` + c.sid + "]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("logged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLog_TheFirstRefusalPerRuleAndMinuteWithoutWhatTheClientSent(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	w := start(t, rules(`
- {event: a, ack: ["${args[0].secret}"]}
- {event: b, deny: "${args[0]}"}`), setup{options: policy.Options{Logger: zap.New(core)}})
	c := w.connect("/", "")
	for range 3 {
		c.ask(`"a",{"password":"hunter2"}`)
		c.ask(`"b","hunter2"`)
		c.ask(`"hunter2"`)
	}
	var got []string
	for _, e := range logs.All() {
		got = append(got, fmt.Sprint(e.Level, " ", e.Message, " ", e.ContextMap()))
	}
	if want := []string{
		"info refused map[code:invalid namespace:/ rule:1 a]",
		"info refused map[code:denied namespace:/ rule:2 b]",
		"info refused map[code:denied namespace:/ rule:no rule]",
	}; !reflect.DeepEqual(got, want) {
		t.Errorf("logged %q, want %q", got, want)
	}
}

func TestLoad_EveryFaultIsNamedWithItsKey(t *testing.T) {
	text := func(s string) config.Value { return config.Value{Kind: config.String, Text: s, Line: 7} }
	source := func(s string) config.Expression { return config.Expression{Source: s, Line: 3} }
	list := func(v ...config.Value) config.Value { return config.Value{Kind: config.List, List: v, Line: 8} }
	emit := &config.Emit{To: text("${1.5 +}"), Event: text("connect"), Args: text("${sid} ${nsp}"), Except: list()}
	_, err := policy.New(policy.Config{Namespaces: map[string]config.Namespace{
		"/": {
			Connect: config.Connect{If: source("args[0] == 1"), Do: []config.Action{{Join: text("${event}")}}},
			Rules: []config.Rule{
				{Event: config.Patterns{"a"}, If: source("1 + 1"), Do: []config.Action{{Emit: emit}}},
				{Event: config.Patterns{"a"}, If: source("reason == ''"), Ack: list(text("ok"), text("${nope}")), Deny: text("${")},
				{Event: config.Patterns{"a"}, Schema: config.Value{Kind: config.Map, Map: []config.Member{{Key: "$ref", Value: text("https://example.org/s")}}}},
				{Event: config.Patterns{"a"}, Schema: config.Value{Kind: config.Map, Map: []config.Member{{Key: "type", Value: text("strnig")}}}},
				{Event: config.Patterns{"a"}, Ack: text(config.AckBackend), Do: []config.Action{{Forward: "orders"}}},
				{Event: config.Patterns{"a"}, Name: "connect"},
				{Event: config.Patterns{"a"}, Name: "4 a", Do: []config.Action{{Reply: &config.Reply{Event: text("x${args}"), Args: text("${1 + 'a'}")}}}},
				{Event: config.Patterns{"a"}, Do: []config.Action{{Leave: text("")}, {Reply: &config.Reply{Event: text("${rooms}")}}}},
				{Event: config.Patterns{"a"}, If: source("${args[0] == 1}")},
			},
			Disconnect: config.Disconnect{Do: []config.Action{{Broadcast: &config.Broadcast{Event: text("${args[0]}")}}}},
		},
	}}, policy.Options{})
	var faults *config.Error
	if !errors.As(err, &faults) {
		t.Fatalf("%T %v", err, err)
	}
	type fault struct {
		key, part string
		line      int
	}
	want := []fault{
		{`namespaces["/"].connect.if`, "undeclared reference to 'args'", 3},
		{`namespaces["/"].connect.do[0].join`, "undeclared reference to 'event'", 7},
		{`namespaces["/"].disconnect.do[0].broadcast.event`, "undeclared reference to 'args'", 7},
		{`namespaces["/"].rules[0].if`, `"1 + 1" is of type int`, 3},
		{`namespaces["/"].rules[0].do[0].emit.to`, "Syntax error", 7},
		{`namespaces["/"].rules[0].do[0].emit.except`, "the list of rooms is empty", 8},
		{`namespaces["/"].rules[0].do[0].emit.event`, `"connect" is a reserved name`, 7},
		{`namespaces["/"].rules[0].do[0].emit.args`, "one ${…}", 7},
		{`namespaces["/"].rules[1].if`, "undeclared reference to 'reason'", 3},
		{`namespaces["/"].rules[1].deny`, "without its }", 7},
		{`namespaces["/"].rules[1].ack[1]`, "undeclared reference to 'nope'", 7},
		{`namespaces["/"].rules[2].schema`, "only references within it", 0},
		{`namespaces["/"].rules[3].schema`, "type", 0},
		{`namespaces["/"].rules[5].name`, `"connect" is the name of another`, 0},
		{`namespaces["/"].rules[6].do[0].reply.event`, "cannot be put into text", 7},
		{`namespaces["/"].rules[6].do[0].reply.args`, "found no matching overload", 7},
		{`namespaces["/"].rules[6].name`, `"4 a" is the name of another`, 0},
		{`namespaces["/"].rules[7].do[0].leave`, "name is empty", 7},
		{`namespaces["/"].rules[7].do[1].reply.event`, "names no event", 7},
		{`namespaces["/"].rules[8].if`, "without ${}", 3},
	}
	for i, f := range faults.Faults {
		if i >= len(want) || f.Key != want[i].key || f.Line != want[i].line || !strings.Contains(f.Message, want[i].part) {
			t.Errorf("fault %d: %+v", i, f)
		}
	}
	if len(faults.Faults) != len(want) {
		t.Errorf("%d faults, want %d", len(faults.Faults), len(want))
	}
}

func TestSpecExample_LoadsAndBehaves(t *testing.T) {
	yaml, err := os.ReadFile("testdata/chat.yaml")
	if err != nil {
		t.Fatal(err)
	}
	w := start(t, string(yaml), setup{})
	ann := w.connect("/", `{"user":"ann"}`)
	bob := w.connect("/", `{"user":"bob"}`)
	expect(t, "bob", bob) // and so his connect is through
	expect(t, "ann", ann, `["notification",{"id":"`+bob.sid+`","message":"joined"}]`)
	for _, step := range []struct{ send, ack string }{
		{`"join","chat:1"`, ok},
		{`"join","admin"`, refused("denied", "not allowed")},
		{`"join",1`, refused("invalid", badCondition)},
		{`"typing","chat:2"`, refused("denied", "not allowed")},
		{`"typing","chat:1"`, ok},
		{`"typing","chat:1"`, ok},
		{`"typing","chat:1"`, refused("overloaded", tooManyEvents)},
		{`"echo",{"a":1.0},"x"`, `[{"a":1.0},"x"]`},
		{`"hello"`, ok},
		{`"private","bob","psst"`, ok},
		{`"message",{"text":"hi"}`, ok},
		{`"order:new",1`, refused("denied", "not allowed")},
		{`"leave","chat:1"`, ok},
	} {
		if got := ann.ask(step.send); got != step.ack {
			t.Errorf("%s: %s, want %s", step.send, got, step.ack)
		}
	}
	expect(t, "ann", ann, `["welcome","`+ann.sid+`"]`, `["message",{"text":"hi"}]`)
	expect(t, "bob", bob, `["private","psst"]`, `["message",{"text":"hi"}]`)
	acme := w.connect("/tenant-acme", `{"tenant":"acme"}`)
	if got := acme.ask(`"message"`); got != refused("denied", noRule) {
		t.Error(got)
	}
	if got := w.dial(nil).tryJoin("/tenant-acme", `{"tenant":"evil"}`); !strings.HasPrefix(got, `4/tenant-acme,{"message":"not allowed","data":{"code":"denied"`) {
		t.Error(got)
	}
	bob.write("41")
	if got, want := ann.next(), `2["left","`+bob.sid+`","client namespace disconnect"]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestReplace_SocketsFollowTheNewRulesFromTheirNextEventOn(t *testing.T) {
	w := start(t, "namespaces:\n  \"/\": {rules: [{event: a, rate: 1/h}]}\n  \"/x\": {rules: [{event: a}], disconnect: {do: [{broadcast: {event: left}}]}}\n", setup{})
	c, x := w.connect("/", ""), w.connect("/x", "")
	if got := c.ask(`"a"`); got != ok {
		t.Fatal(got)
	}
	if err := w.policy.Replace(policy.Config{Namespaces: map[string]config.Namespace{"/": {Connect: config.Connect{If: config.Expression{Source: "nope"}}}}}); err == nil {
		t.Error("a faulty configuration is taken")
	}
	if got := c.ask(`"a"`); got != refused("overloaded", tooManyEvents) {
		t.Error("after a faulty configuration:", got)
	}
	if err := w.policy.Replace(load(t, "namespaces:\n  \"/\": {rules: [{event: b}, {event: a, ack: [new]}]}\n  \"/y\": {rules: [{event: a}]}\n")); err != nil {
		t.Fatal(err)
	}
	if got := c.ask(`"a"`); got != `["new"]` {
		t.Error("new rules:", got)
	}
	if got := x.ask(`"a"`); got != refused("denied", "the namespace is closed") {
		t.Error("in a namespace that is gone:", got)
	}
	w.await(`carillon_rule_decisions_total{decision="denied",namespace="removed",rule="no rule"}`)
	w.io.Of("/x").Close(socketio.ServerDisconnect) // as the gateway does
	w.await(`carillon_rule_decisions_total{decision="allowed",namespace="/x",rule="disconnect"}`)
	if got := w.dial(nil).tryJoin("/x", ""); got != `4/x,{"message":"Invalid namespace"}` {
		t.Error("to a namespace that is gone:", got)
	}
	if got := w.connect("/y", "").ask(`"a"`); got != ok {
		t.Error("in a new namespace:", got)
	}
	if got := w.counts()[`carillon_rule_decisions_total{decision="allowed",namespace="/",rule="2 a"}`]; got != 1 {
		t.Error("metrics of the new rules:", got)
	}
}

func TestData_OfASocketShowsNothingOfThePolicy(t *testing.T) {
	w := start(t, rules("[]"), setup{})
	w.connect("/", "")
	sockets, err := w.io.Of("/").Local().FetchSockets(t.Context())
	if err != nil || len(sockets) != 1 {
		t.Fatal(sockets, err)
	}
	if !bytes.Equal(sockets[0].Data, []byte("{}")) {
		t.Errorf("data is %s", sockets[0].Data)
	}
}

func TestLoad_AKeyHasAtMostOneFault(t *testing.T) {
	const file = `namespaces: {chat: {rules: [{event: a, do: [{emti: {to: b, event: c}}]}]}}`
	_, _, err := config.Load(config.Source{File: []byte(file), Rules: policy.Check})
	var faults *config.Error
	if !errors.As(err, &faults) {
		t.Fatalf("%T %v", err, err)
	}
	var keys []string
	for _, f := range faults.Faults {
		keys = append(keys, f.Key)
	}
	want := []string{"namespaces.chat", "namespaces.chat.rules[0].do[0]", "namespaces.chat.rules[0].do[0].emti"}
	if slices.Sort(keys); !slices.Equal(keys, want) {
		t.Errorf("faults at %q, want %q", keys, want)
	}
}
