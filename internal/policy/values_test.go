package policy_test

import (
	"strings"
	"testing"
)

func bigList(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("1,", n), ",") + "]" }

// Each row is a sentence of what values are, as the acknowledgement of one event shows it.
func TestValues(t *testing.T) {
	for _, c := range []struct{ name, rule, send, ack string }{
		{"args are a list", `{event: e, ack: "${[size(args), args[1]]}"}`, `"e",1,"x"`, `[2,"x"]`},
		{"event is the event's name", `{event: "e*", ack: ["${event}"]}`, `"echo"`, `["echo"]`},
		{"nsp is the namespace", `{event: e, ack: ["${nsp}"]}`, `"e"`, `["/"]`},
		{"ip is the client's address", `{event: e, ack: ["${ip}"]}`, `"e"`, `["127.0.0.1"]`},
		{"now is the time in Unix milliseconds", `{event: e, ack: ["${now > 1600000000000 && now % 1 == 0}"]}`, `"e"`, `[true]`},
		{"now is one moment for a whole event", `{event: e, if: "now == now", ack: ["${now == now}"]}`, `"e"`, `[true]`},
		{"rooms hold the socket's own room", `{event: e, ack: ["${rooms == [sid] && sid in rooms}"]}`, `"e"`, `[true]`},
		{"rooms can be handed on", `{event: e, ack: ["${rooms.map(r, size(r))}"]}`, `"e"`, `[[20]]`},
		{"claims are empty without a token", `{event: e, ack: ["${claims}", "${claims == {}}"]}`, `"e"`, `[{},true]`},
		{"auth is what came with CONNECT", `{event: e, ack: ["${auth.user.name}", "${auth}"]}`, `"e"`,
			`["ann",{"z":1.50,"user":{"name":"ann"}}]`},
		{"query is that of the first request", `{event: e, ack: ["${query.EIO}"]}`, `"e"`, `["4"]`},
		{"header names are in lower case", `{event: e, ack: ["${headers['x-test']}"]}`, `"e"`, `["yes"]`},

		{"a number without . and e is int", `{event: e, ack: ["${args[0] + 1}"]}`, `"e",41`, `[42]`},
		{"the largest int fits", `{event: e, ack: ["${args[0] - 1}"]}`, `"e",9223372036854775807`, `[9223372036854775806]`},
		{"a fraction is double", `{event: e, ack: ["${args[0] + 0.5}"]}`, `"e",1.5`, `[2]`},
		{"1.0 is a whole number", `{event: e, ack: ["${args[0] + 1}", "${args[0] % 2}"]}`, `"e",1.0`, `[2,1]`},
		{"1e3 is a whole number", `{event: e, ack: ["${args[0] + 1}", "a${args[0]}"]}`, `"e",1e3`, `[1001,"a1000"]`},
		{"a double of a whole number is asked for", `{event: e, ack: ["${double(args[0]) + 0.5}"]}`, `"e",1.0`, `[1.5]`},
		{"a whole number over 64 bits is double", `{event: e, ack: ["${args[0] == 1e300}"]}`, `"e",1e300`, `[true]`},
		{"a number beyond a double is null", `{event: e, ack: ["${args[0] == null}"]}`, `"e",1e400`, `[true]`},
		{"a number over 64 bits is double", `{event: e, ack: ["${args[0] * 1.0}"]}`, `"e",9223372036854775808`, `[9223372036854776000]`},
		{"ints and doubles do not mix", `{event: e, ack: ["${args[0] + 1}"]}`, `"e",1.5`, refused("invalid", badAck)},
		{"ints and doubles compare", `{event: e, ack: ["${args[0] == 1}"]}`, `"e",1.0`, `[true]`},
		{"objects and arrays are seen through", `{event: e, ack: ["${args[0].a[1].b + '!'}"]}`, `"e",{"a":[0,{"b":"x"}]}`, `["x!"]`},
		{"of members with one name the last counts", `{event: e, ack: ["${args[0].a}","${args[0].a + 0}"]}`, `"e",{"a":1,"a":2}`, `[2,2]`},
		{"escaped names and strings", `{event: e, ack: ["${args[0].ab + args[0]['ab']}"]}`, `"e",{"\u0061b":"\u00e9\n"}`, `["é\né\n"]`},
		{"null", `{event: e, ack: ["${args[0] == null}", "${args[0]}"]}`, `"e",null`, `[true,null]`},
		{"has asks for a member", `{event: e, ack: ["${has(args[0].a)}","${has(args[0].b)}"]}`, `"e",{"a":null}`, `[true,false]`},
		{"lists are searched and walked", `{event: e, ack: ["${2 in args[0]}","${args[0].exists(x, x > 2)}"]}`, `"e",[1,2]`, `[true,false]`},
		{"objects are walked", `{event: e, ack: ["${args[0].all(k, k.startsWith('a'))}"]}`, `"e",{"a1":1,"a2":2}`, `[true]`},
		{"values compare deeply", `{event: e, ack: ["${args[0] == args[1]}"]}`, `"e",{"a":[1,{}]},{ "a": [ 1, {} ] }`, `[true]`},

		{"one ${…} has the expression's value", `{event: e, ack: ["${1 + 1}", "${[1, 'a', {'k': true}]}"]}`, `"e"`, `[2,[1,"a",{"k":true}]]`},
		{"elsewhere the value is put in as text", `{event: e, ack: ["a${args[0]}b${args[1]}c${args[2]}d${args[3]}"]}`,
			`"e","s",7,2.5,true`, `["asb7c2.5dtrue"]`},
		{"a null has no text", `{event: e, ack: ["a${args[0]}"]}`, `"e",null`, refused("invalid", badAck)},
		{"a list has no text", `{event: e, ack: ["a${args[0]}"]}`, `"e",[1]`, refused("invalid", badAck)},
		{"an object has no text", `{event: e, ack: ["a${args[0]}"]}`, `"e",{}`, refused("invalid", badAck)},
		{"large numbers have JavaScript's text", `{event: e, ack: ["<${args[0]},${args[1]},${args[2]}>"]}`, `"e",1e21,1e-7,1.0`, `["<1e+21,1e-7,1>"]`},
		{"$${ is a literal ${", `{event: e, ack: ["$${sid}", "a$${b}${1}"]}`, `"e"`, `["${sid}","a${b}1"]`},
		{"braces and quotes inside an expression", `{event: e, ack: ["${{'a': '}'}}", '<${"\"}"}>', "${r'\\}'}"]}`, `"e"`,
			`[{"a":"}"},"<\"}>","\\}"]`},
		{"templates stand anywhere in arguments", `{event: e, ack: [{a: ["${args[0]}", x], b: null, c: 1.50}]}`, `"e",1`, `[{"a":[1,"x"],"b":null,"c":1.50}]`},
		{"members keep the order written", `{event: e, ack: [{z: 1, a: 2, m: 3}]}`, `"e"`, `[{"z":1,"a":2,"m":3}]`},
		{"computed maps are ordered by name", `{event: e, ack: ["${{'z': 1, 'a': 2, 'm': 3}}"]}`, `"e"`, `[{"a":2,"m":3,"z":1}]`},

		{"${args} leaves as the client's own text", `{event: e, ack: "${args}"}`,
			`"e",{"b":1.0,"a":1E2,"c":-0} , "\u00e9"`, `[{"b":1.0,"a":1E2,"c":-0} , "\u00e9"]`},
		{"of equal members only the last leaves", `{event: e, ack: "${args}"}`, `"e",{"b":1,"a":2,"b":3}`, `[{"b":3,"a":2}]`},
		{"a number beyond a double leaves as null", `{event: e, ack: "${args}"}`, `"e",{"a":1e400}`, `[{"a":null}]`},
		{"${args[1]} leaves as the client's own text", `{event: e, ack: ["${args[1]}"]}`, `"e",0,{"b":1.00,"a":[ 1 ]}`, `[{"b":1.00,"a":[ 1 ]}]`},
		{"a member leaves as the client's own text", `{event: e, ack: ["${args[0].x}"]}`, `"e",{"x":1.00}`, `[1.00]`},
		{"an object picked by a condition keeps its text", `{event: e, ack: ["${true ? args[0] : args[1]}"]}`, `"e",{"b":1.00,"a":2}`, `[{"b":1.00,"a":2}]`},
		{"no arguments", `{event: e, ack: "${args}"}`, `"e"`, `[]`},

		{"a missing argument is invalid", `{event: e, ack: ["${args[0]}"]}`, `"e"`, refused("invalid", badAck)},
		{"a missing argument of a computation is invalid", `{event: e, ack: ["${args[0] + 1}"]}`, `"e"`, refused("invalid", badAck)},
		{"a negative index is invalid", `{event: e, ack: ["${args[-1]}"]}`, `"e",1`, refused("invalid", badAck)},
		{"a missing member is invalid", `{event: e, ack: ["${args[0].a}"]}`, `"e",{}`, refused("invalid", badAck)},
		{"a missing claim is invalid", `{event: e, ack: ["${claims.sub}"]}`, `"e"`, refused("invalid", badAck)},
		{"a wrong type is invalid", `{event: e, ack: ["${args[0].startsWith('a')}"]}`, `"e",1`, refused("invalid", badAck)},
		{"a loop that costs too much is invalid", `{event: e, ack: ["${args[0].map(x, args[0].map(y, x + y))}"]}`,
			`"e",` + bigList(400), refused("invalid", tooCostly)},
		{"a number that is not finite is invalid", `{event: e, ack: ["${1.0 / args[0]}"]}`, `"e",0.0`, refused("invalid", badAck)},

		{"ack as one ${…}: a list is the arguments", `{event: e, ack: "${args[0]}"}`, `"e",[1,[2]]`, `[1,[2]]`},
		{"ack as one ${…}: an empty list is no arguments", `{event: e, ack: "${args[0]}"}`, `"e",[ ]`, `[]`},
		{"ack as one ${…}: any other value is the only one", `{event: e, ack: "${args[0]}"}`, `"e",{"a":[]}`, `[{"a":[]}]`},
		{"ack as one ${…}: a computed list", `{event: e, ack: "${[1] + args}"}`, `"e",2`, `[1,2]`},
		{"ack as one ${…}: a computed value", `{event: e, ack: "${args.size()}"}`, `"e",2`, `[1]`},
		{"ack as a list: a list is one argument", `{event: e, ack: ["${args}"]}`, `"e",2`, `[[2]]`},
		{"ack as an empty list", `{event: e, ack: []}`, `"e",2`, `[]`},
		{"a rule without ack answers ok", `{event: e}`, `"e"`, ok},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := start(t, rules("- "+c.rule), setup{})
			client := w.dial(map[string][]string{"X-Test": {"yes"}})
			client.join("/", `{"z":1.50,"user":{"name":"ann"}}`)
			if got := client.ask(c.send); got != c.ack {
				t.Errorf("%s sent to %s is answered\n%s, want\n%s", c.send, c.rule, got, c.ack)
			}
		})
	}
}
