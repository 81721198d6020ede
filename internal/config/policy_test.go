package config_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/config"
)

func TestNamespaces_AreKeptAsWritten(t *testing.T) {
	// Refused for want of tokens and routes, and read all the same.
	cfg, _, _ := config.LoadFile("testdata/policy.yaml", nil)
	root := cfg.Namespaces["/"]
	wantIf := config.Expression{Source: `claims.tenant == "acme"`, Line: 5}
	if root.Connect.Require != config.RequireToken || root.Connect.If != wantIf {
		t.Errorf("connect: %+v", root.Connect)
	}
	var verbs []config.Verb
	for _, rule := range root.Rules {
		for _, action := range rule.Do {
			verbs = append(verbs, action.Verb())
		}
	}
	wantVerbs := []config.Verb{
		config.VerbJoin, config.VerbLeave, config.VerbBroadcast, config.VerbEmit, config.VerbEmit, config.VerbReply,
		config.VerbForward,
	}
	if !reflect.DeepEqual(verbs, wantVerbs) {
		t.Errorf("verbs: got %v, want %v", verbs, wantVerbs)
	}
	notify := root.Connect.Do[1].Broadcast
	if got := string(notify.Args.AppendJSON(nil)); got != `[{"id":"${sid}","message":"joined"}]` || !notify.ExcludeSender {
		t.Errorf("connect's broadcast: args %s, %+v", got, notify)
	}
	typing := root.Rules[4]
	if typing.Rate != (config.Rate{Count: 2, Per: time.Second}) || !typing.Do[0].Emit.Volatile ||
		typing.Do[0].Emit.To.Text != "${args[0]}" {
		t.Errorf("typing: %+v", typing)
	}
	if ack := root.Rules[5].Ack; ack.Kind != config.String || ack.Text != "${args}" {
		t.Errorf("echo's ack: %+v", ack)
	}
	if deny := root.Rules[8].Deny; deny.Text != "not allowed" || root.Rules[8].Event[0] != "*" {
		t.Errorf("deny: %+v", root.Rules[8])
	}
	if left := root.Disconnect.Do[0].Broadcast; left == nil || left.Event.Text != "left" {
		t.Errorf("disconnect: %+v", root.Disconnect)
	}
	if tenant := cfg.Namespaces["/tenant-*"]; tenant.Connect.If.Source != `nsp == "/tenant-" + claims.tenant` {
		t.Errorf("tenant: %+v", tenant)
	}
}

func TestNamespaces_RootIsAlwaysThere(t *testing.T) {
	cfg := mustLoad(t, config.Source{File: []byte(`namespaces: {/chat: {}}`)})
	if _, ok := cfg.Namespaces["/"]; !ok || len(cfg.Namespaces) != 2 {
		t.Errorf("got %v", cfg.Namespaces)
	}
}

func TestNamespaces_EventIsOnePatternOrAList(t *testing.T) {
	cfg := mustLoad(t, config.Source{
		File: []byte(`namespaces: {/: {rules: [{event: a}, {event: [b, "c:*"]}, {event: 7}]}}`),
	})
	want := []config.Patterns{{"a"}, {"b", "c:*"}, {"7"}}
	for i, rule := range cfg.Namespaces["/"].Rules {
		if !reflect.DeepEqual(rule.Event, want[i]) {
			t.Errorf("rule %d: got %q, want %q", i, rule.Event, want[i])
		}
	}
}

func TestNamespaces_ExpressionsKnowTheirLine(t *testing.T) {
	cfg := mustLoad(t, config.Source{File: []byte(`namespaces:
  /:
    connect:
      if: >
        sid != ""
    rules:
      - event: a
        if: |
          size(args) > 0
      - event: b
        if: true
`)})
	root := cfg.Namespaces["/"]
	for _, c := range []struct {
		got    config.Expression
		source string
		line   int
	}{
		{root.Connect.If, "sid != \"\"\n", 5},
		{root.Rules[0].If, "size(args) > 0\n", 9},
		{root.Rules[1].If, "true", 11},
	} {
		if c.got.Source != c.source || c.got.Line != c.line {
			t.Errorf("got %+v, want %q in line %d", c.got, c.source, c.line)
		}
	}
}

func TestValue_AppendJSON(t *testing.T) {
	for yaml, want := range map[string]string{
		`[]`:                           `[]`,
		`[1, -2, 0x1F, 1_000, 0o17]`:   `[1,-2,31,1000,15]`,
		`[1.5, 1e3, .5, 1., +2.5]`:     `[1.5,1e3,0.5,1.0,2.5]`,
		`[18446744073709551615]`:       `[18446744073709551615]`,
		`[123456789012345678901234]`:   `[123456789012345678901234]`,
		`[true, False, null, ~]`:       `[true,false,null,null]`,
		`["a\"b\n", 'it''s', ü, "😀"]`:  `["a\"b\n","it's","ü","😀"]`,
		`[2026-01-02, "007", yes]`:     `["2026-01-02","007","yes"]`,
		`[{z: 1, a: [{}]}, {"k k": }]`: `[{"z":1,"a":[{}]},{"k k":null}]`,
		`["${args[0]}", "$${x}"]`:      `["${args[0]}","$${x}"]`,
	} {
		cfg := mustLoad(t, config.Source{File: []byte(`namespaces: {/: {rules: [{event: a, ack: ` + yaml + `}]}}`)})
		if got := string(cfg.Namespaces["/"].Rules[0].Ack.AppendJSON(nil)); got != want {
			t.Errorf("%s: got %s, want %s", yaml, got, want)
		}
	}
	if got := string(config.Value{}.AppendJSON(nil)); got != "null" {
		t.Errorf("absent: got %s", got)
	}
}

func TestNamespaces_Faults(t *testing.T) {
	const tags = "YAML tags are not supported; text that begins with ! needs quotation marks"
	for _, c := range []struct {
		namespaces string
		want       []string
	}{
		{`{chat: {}}`, []string{`namespaces.chat: "chat" does not begin with /`}},
		{`{/a*b: {}}`, []string{`namespaces["/a*b"]: "/a*b": a * is only possible at the end`}},
		{`{/a: {}, /a: {}}`, []string{`namespaces["/a"]: stands twice; the first is in line 1`}},
		{`{/: {rule: []}}`, []string{`namespaces["/"].rule: unknown key; the nearest valid name is namespaces["/"].rules`}},
		{`{/: {connect: {required: token}}}`,
			[]string{`namespaces["/"].connect.required: unknown key with value "token"; the nearest valid name is ` +
				`namespaces["/"].connect.require`}},
		{`{/: {connect: {require: tokens}}}`,
			[]string{`namespaces["/"].connect.require: "tokens" is not one of anyone, token; the nearest is token`}},
		{`{/: {connect: {if: [a]}}}`, []string{`namespaces["/"].connect.if: must be an expression, not a list`}},
		{`{/: {connect: {if: ""}}}`, []string{`namespaces["/"].connect.if: is empty`}},

		{`{/: {rules: [{}]}}`, []string{`namespaces["/"].rules[0]: has no event`}},
		{`{/: {rules: [~]}}`, []string{`namespaces["/"].rules[0]: is empty`}},
		{`{/: {rules: {event: a}}}`, []string{`namespaces["/"].rules: must be a list, not keys and values`}},
		{`{/: {rules: [{event: ""}]}}`, []string{`namespaces["/"].rules[0].event: must not be empty`}},
		{`{/: {rules: [{event: [a, "*b"]}]}}`,
			[]string{`namespaces["/"].rules[0].event[1]: "*b": a * is only possible at the end`}},
		{`{/: {rules: [{event: [a, ~]}]}}`,
			[]string{`namespaces["/"].rules[0].event[1]: must be the name of an event, not "~"`}},
		{`{/: {rules: [{event: [a, [b]]}]}}`,
			[]string{`namespaces["/"].rules[0].event[1]: must be the name of an event, not a list`}},
		{`{/: {rules: [{event: "auth:refresh"}]}}`,
			[]string{`namespaces["/"].rules[0].event: "auth:refresh": names beginning with auth: belong to the gateway`}},
		{`{/: {rules: [{event: a, rate: 2}]}}`,
			[]string{`namespaces["/"].rules[0].rate: "2" is not a rate such as 2/s, 30/m or 100/h`}},
		{`{/: {rules: [{event: a, rate: 0/s}]}}`,
			[]string{`namespaces["/"].rules[0].rate: "0/s" is not a rate such as 2/s, 30/m or 100/h`}},
		{`{/: {rules: [{event: a, rate: 2/d}]}}`,
			[]string{`namespaces["/"].rules[0].rate: "2/d" is not a rate such as 2/s, 30/m or 100/h`}},
		{`{/: {rules: [{event: a, schema: array}]}}`, []string{`namespaces["/"].rules[0].schema: must be a JSON Schema`}},
		{`{/: {rules: [{event: a, deny: [no]}]}}`,
			[]string{`namespaces["/"].rules[0].deny: must be the text of the refusal`}},
		{`{/: {rules: [{event: a, deny: no, ack: [1], do: [{join: r}]}]}}`, []string{
			`namespaces["/"].rules[0].do: cannot stand beside deny`,
			`namespaces["/"].rules[0].ack: cannot stand beside deny`,
		}},
		{`{/: {rules: [{event: a, ack: accept}]}}`, []string{`namespaces["/"].rules[0].ack: "accept" is neither a list of ` +
			`arguments, one ${…}, accepted nor backend; the nearest word is accepted`}},
		{`{/: {rules: [{event: a, ack: 5}]}}`,
			[]string{`namespaces["/"].rules[0].ack: must be a list of arguments, one ${…}, accepted or backend`}},
		{`{/: {rules: [{event: a, ack: backend}]}}`, []string{
			`namespaces["/"].rules[0].ack: "backend" needs exactly one forward in the same rule, which has 0`,
		}},
		{`{/: {rules: [{event: a, ack: accepted}]}}`, []string{
			`namespaces["/"].rules[0].ack: "accepted" needs a forward in the same rule`,
		}},
		{`{/: {rules: [{event: a, ack: [.inf]}]}}`,
			[]string{`namespaces["/"].rules[0].ack[0]: ".inf" is not a number JSON knows`}},
		{`{/: {rules: [{event: a, ack: [!x y]}]}}`, []string{tags}},
		{`{/: {rules: [{event: a, ack: [!!int y]}]}}`, []string{tags}},
		{`{/: {rules: [{event: a, if: ! claims.banned}]}}`, []string{tags}},
		{`{/: {rules: [{event: a, if: !claims.banned }]}}`, []string{tags}},
		{`{/: {rules: [{event: a, ack: [{k: 1, k: 2}]}]}}`,
			[]string{`namespaces["/"].rules[0].ack[0].k: stands twice; the first is in line 1`}},
		{`{/: {rules: [{event: a, acks: [1]}]}}`,
			[]string{`namespaces["/"].rules[0].acks: unknown key; the nearest valid name is namespaces["/"].rules[0].ack`}},

		{`{/: {rules: [{event: a, do: {join: r}}]}}`,
			[]string{`namespaces["/"].rules[0].do: must be a list, not keys and values`}},
		{`{/: {rules: [{event: a, do: [{}]}]}}`, []string{
			`namespaces["/"].rules[0].do[0]: must have exactly one verb, not 0: join, leave, emit, ` +
				`broadcast, reply, forward, disconnect`,
		}},
		{`{/: {rules: [{event: a, do: [{join: r, leave: s}]}]}}`, []string{
			`namespaces["/"].rules[0].do[0]: must have exactly one verb, not 2: join, leave, emit, ` +
				`broadcast, reply, forward, disconnect`,
		}},
		{`{/: {rules: [{event: a, do: [{emmit: {}}]}]}}`, []string{
			`namespaces["/"].rules[0].do[0]: must have exactly one verb, not 0: join, leave, emit, broadcast, reply, forward, ` +
				`disconnect`,
			`namespaces["/"].rules[0].do[0].emmit: unknown key; the nearest valid name is namespaces["/"].rules[0].do[0].emit`,
		}},
		{`{/: {connect: {do: [{leave: r}, {disconnect: namespace}]}}}`, []string{
			`namespaces["/"].connect.do[0].leave: is not possible in connect: join, emit, broadcast, reply`,
			`namespaces["/"].connect.do[1].disconnect: is not possible in connect: join, emit, broadcast, reply`,
		}},
		{`{/: {disconnect: {do: [{join: r}, {reply: {event: e}}]}}}`, []string{
			`namespaces["/"].disconnect.do[0].join: is not possible in disconnect: emit, broadcast`,
			`namespaces["/"].disconnect.do[1].reply: is not possible in disconnect: emit, broadcast`,
		}},
		{`{/: {rules: [{event: a, do: [{disconnect: room}]}]}}`, []string{
			`namespaces["/"].rules[0].do[0].disconnect: "room" is not one of namespace, connection; the nearest is connection`,
		}},
		{`{/: {rules: [{event: a, do: [{emit: {event: e}}]}]}}`, []string{
			`namespaces["/"].rules[0].do[0].emit: has no to; to reach everyone in the namespace use broadcast`,
		}},
		{`{/: {rules: [{event: a, do: [{emit: {to: r}}]}]}}`, []string{`namespaces["/"].rules[0].do[0].emit: has no event`}},
		{`{/: {rules: [{event: a, do: [{emit: {to: r, event: [e]}}]}]}}`,
			[]string{`namespaces["/"].rules[0].do[0].emit.event: must be the name of an event`}},
		{`{/: {rules: [{event: a, do: [{emit: {to: r, event: e, args: e}}]}]}}`,
			[]string{`namespaces["/"].rules[0].do[0].emit.args: must be a list of arguments or one ${…}`}},
		{`{/: {rules: [{event: a, do: [{broadcast: {to: r, event: e}}]}]}}`, []string{
			`namespaces["/"].rules[0].do[0].broadcast.to: unknown key with value "r"; the nearest valid name is ` +
				`namespaces["/"].rules[0].do[0].broadcast.args`,
		}},
		{`{/: {rules: [{event: a, do: [{reply: {event: e, except: r}}]}]}}`, []string{
			`namespaces["/"].rules[0].do[0].reply.except: unknown key with value "r"; the nearest valid name is ` +
				`namespaces["/"].rules[0].do[0].reply.event`,
		}},
		{`{/: {rules: [{event: a, do: [{join: []}]}]}}`,
			[]string{`namespaces["/"].rules[0].do[0].join: is an empty list of rooms`}},
		{`{/: {rules: [{event: a, do: [{join: ""}]}]}}`, []string{`namespaces["/"].rules[0].do[0].join: is an empty name`}},
		{`{/: {rules: [{event: a, do: [{join: [a, {b: c}]}]}]}}`,
			[]string{`namespaces["/"].rules[0].do[0].join[1]: must be the name of a room or a list of names`}},
		{`{/: {rules: [{event: a, do: [{join: 1.5}]}]}}`,
			[]string{`namespaces["/"].rules[0].do[0].join: must be the name of a room or a list of names`}},
		{`{/: {rules: [{event: a, do: [{leave: ` + strings.Repeat("r", 257) + `}]}]}}`,
			[]string{`namespaces["/"].rules[0].do[0].leave: is a name of 257 bytes; at most 256 are allowed`}},
		{`{/: {rules: [{event: a, do: [{broadcast: {event: e, except: []}}]}]}}`,
			[]string{`namespaces["/"].rules[0].do[0].broadcast.except: is an empty list of rooms`}},
	} {
		t.Run(c.namespaces, func(t *testing.T) {
			want := make([]string, len(c.want))
			for i := range want {
				want[i] = "line 1: " + c.want[i]
			}
			got := faultsOf(t, config.Source{File: []byte("namespaces: " + c.namespaces)})
			// Within one line the order is that of discovery: the shape before its meaning.
			assertSameLines(t, got, want)
		})
	}
}

func assertSameLines(t *testing.T, got, want []string) {
	t.Helper()
	missing := append([]string(nil), want...)
	for _, line := range got {
		found := false
		for i := range missing {
			if missing[i] == line {
				missing = append(missing[:i], missing[i+1:]...)
				found = true
				break
			}
		}
		if !found {
			t.Errorf("unexpected: %s", line)
		}
	}
	for _, line := range missing {
		t.Errorf("missing: %s", line)
	}
}

func TestNamespaces_AcceptsWhatTheyMaySay(t *testing.T) {
	for _, namespaces := range []string{
		`{"*": {}}`,
		`{/: ~}`,
		`{/: {connect: {require: anyone, do: [{join: [a, 7]}, {reply: {event: hi}}]}}}`,
		`{/: {rules: [{event: a, ack: "${args[0]}"}, {event: b, ack: [1, {c: d}]}, {event: c, deny: ""}]}}`,
		`{/: {rules: [{name: n, event: a, rate: 100/h, schema: {type: array, items: [{const: 1.0}]}}]}}`,
		`{/: {rules: [{event: a, schema: false}]}}`,
		`{/: {rules: [{event: a, do: [{disconnect: namespace}]}, {event: b, do: [{disconnect: connection}]}]}}`,
		`{/: {rules: [{event: a, do: [{emit: {to: [a, "${args[0]}"], event: "${event}", args: "${args}", except: 5}}]}]}}`,
	} {
		if faults := faultsOf(t, config.Source{File: []byte("namespaces: " + namespaces)}); faults != nil {
			t.Errorf("%s: %v", namespaces, faults)
		}
	}
}

func TestNamespaces_QuotedNegationIsKept(t *testing.T) {
	cfg := mustLoad(t, config.Source{
		File: []byte("namespaces: {/: {connect: {if: '!claims.banned'}, rules: [{event: '!x'}]}}"),
	})
	if root := cfg.Namespaces["/"]; root.Connect.If.Source != "!claims.banned" || root.Rules[0].Event[0] != "!x" {
		t.Errorf("got %+v", root)
	}
}
