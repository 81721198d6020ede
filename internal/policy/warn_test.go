package policy_test

import (
	"slices"
	"testing"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/policy"
)

func TestCheck_WarnsOfWhatCanHardlyBeMeant(t *testing.T) {
	for _, c := range []struct {
		name, yaml string
		want       []string // none: no warning
	}{
		{"a $ without braces", `rules: [{event: e, do: [{join: "$args[0]"}]}]`,
			[]string{`rules[0].do[0].join: "$args[0]" is text as it stands; did you mean ${args[0]}?`}},
		{"braces without a $", `rules: [{event: e, do: [{emit: {to: ["a", "chat:{args[0].id}"], event: x}}]}]`,
			[]string{`rules[0].do[0].emit.to[1]: "chat:{args[0].id}" is text as it stands; did you mean ${args[0].id}?`}},
		{"neither", `rules: [{event: e, do: [{join: "args[0]"}]}]`,
			[]string{`rules[0].do[0].join: "args[0]" is text as it stands; did you mean ${args[0]}?`}},
		{"a room called like a variable", `rules: [{event: e, do: [{emit: {to: sid, event: x}}]}]`,
			[]string{`rules[0].do[0].emit.to: the room is called "sid"; did you mean ${sid}?`}},
		{"an argument", `rules: [{event: e, do: [{broadcast: {event: "$event", args: ["$args", {a: ["{sid}"]}]}}], ack: [auth.name]}]`, []string{
			`rules[0].do[0].broadcast.event: "$event" is text as it stands; did you mean ${event}?`,
			`rules[0].do[0].broadcast.args[0]: "$args" is text as it stands; did you mean ${args}?`,
			`rules[0].do[0].broadcast.args[1][0]: "{sid}" is text as it stands; did you mean ${sid}?`,
			`rules[0].ack[0]: "auth.name" is text as it stands; did you mean ${auth.name}?`,
		}},
		{"parentheses", `rules: [{event: e, do: [{join: "chat:$(args[0])"}]}]`,
			[]string{`rules[0].do[0].join: "chat:$(args[0])" is text as it stands; did you mean ${args[0]}?`}},
		{"a schema of the first argument", `rules: [{event: e, schema: {type: object, required: [text]}}, {event: f, schema: {type: array}}, {event: g, schema: {minItems: 1}}]`,
			[]string{`rules[0].schema: fits no event: the list of arguments is an array, not of type object; describe the first argument in prefixItems`}},
		{"a denial", `rules: [{event: e, deny: "no $event"}]`, []string{`rules[0].deny: "no $event" is text as it stands; did you mean ${event}?`}},
		{"what is meant", `rules: [{event: e, do: [{join: ["$${args}", "${args[0]}", "{name}", "$5", "argsy", "a ${event} of {5}"]}], ack: [event, "args"]}]`, nil},

		{"behind a catch-all", `rules: [{event: "*", deny: "no"}, {event: [a, "b*"]}]`,
			[]string{`rules[1]: never decides: rule "1 *" before it takes the same events and has no if`}},
		{"behind a prefix", `rules: [{event: "a:*"}, {event: "a:b"}, {name: x, event: ["a:*", b]}, {event: b}]`, []string{
			`rules[1]: never decides: rule "1 a:*" before it takes the same events and has no if`,
			`rules[3]: never decides: rule "x" before it takes the same events and has no if`,
		}},
		{"behind a condition", `rules: [{event: "*", if: "size(args) > 1"}, {event: a}, {event: "ab*"}, {event: "a*"}]`, nil},

		{"reserved events", `rules: [{event: [connect, "disconnect*"]}]`,
			[]string{`rules[0].event: no client can send "connect": a reserved name closes its connection`}},

		{"compared with itself", `connect: {if: "claims.tenant == claims.tenant && sid != sid"}`, []string{
			`connect.if: "claims.tenant == claims.tenant && sid != sid" compares claims.tenant with itself`,
			`connect.if: "claims.tenant == claims.tenant && sid != sid" compares sid with itself`,
		}},
		{"a constant", `rules: [{event: e, if: "'a' == 'b'"}]`, []string{`rules[0].if: "'a' == 'b'" is the same for every client and every event`}},
		{"headers in capitals", `rules: [{event: e, if: "headers['X-A'] == 'b' || 'X-C' in headers || headers.Accept == ''"}]`, []string{
			`rules[0].if: "headers['X-A'] == 'b' || 'X-C' in headers || headers.Accept == ''" no header is called "X-A": their names are in lower case, "x-a"`,
			`rules[0].if: "headers['X-A'] == 'b' || 'X-C' in headers || headers.Accept == ''" no header is called "X-C": their names are in lower case, "x-c"`,
			`rules[0].if: "headers['X-A'] == 'b' || 'X-C' in headers || headers.Accept == ''" no header is called "Accept": their names are in lower case, "accept"`,
		}},
		{"nobody", `rules: [{event: e, do: [{emit: {to: "${sid}", event: x, exclude_sender: true}}]}]`,
			[]string{`rules[0].do[0].emit.to: nobody gets this: it goes to the sender, whom exclude_sender leaves out`}},
		{"other comparisons", `rules: [{event: e, if: "args[0] == args[1] && headers['x-a'] == sid"}]`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, warnings, err := config.Load(config.Source{File: []byte(inRoot(c.yaml)), Rules: policy.Check})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range warnings {
				got = append(got, w.Key[len(`namespaces["/"].`):]+": "+w.Message)
				if w.Line == 0 {
					t.Errorf("%s has no line", w.Key)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("warnings\n%q, want\n%q", got, c.want)
			}
		})
	}
}
