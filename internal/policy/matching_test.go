package policy_test

import "testing"

func TestMatching(t *testing.T) {
	for _, c := range []struct{ name, rules, send, ack string }{
		{"what no rule decides is denied", "- {event: a}", `"b"`, refused("denied", noRule)},
		{"without rules every event is denied", "[]", `"message","x"`, refused("denied", noRule)},
		{"a name", "- {event: a}", `"a"`, ok},
		{"case counts", "- {event: a}", `"A"`, refused("denied", noRule)},
		{"a name is not a prefix", "- {event: a}", `"ab"`, refused("denied", noRule)},
		{"a prefix", `- {event: "order:*"}`, `"order:new"`, ok},
		{"a prefix matches itself", `- {event: "order:*"}`, `"order:"`, ok},
		{"another prefix", `- {event: "order:*"}`, `"orders"`, refused("denied", noRule)},
		{"everything", `- {event: "*"}`, `"anything"`, ok},
		{"a list, its first", `- {event: [a, "b*"]}`, `"a"`, ok},
		{"a list, its prefix", `- {event: [a, "b*"]}`, `"bcd"`, ok},
		{"a list, none of it", `- {event: [a, "b*"]}`, `"c"`, refused("denied", noRule)},
		{"the first rule that matches decides", `
- {event: a, ack: [1]}
- {event: a, ack: [2]}`, `"a"`, `[1]`},
		{"order counts, not exactness", `
- {event: "*", ack: [1]}
- {event: a, ack: [2]}`, `"a"`, `[1]`},
		{"a false if leaves the event to later rules", `
- {event: a, if: "args[0] > 1", ack: [1]}
- {event: a, ack: [2]}`, `"a",1`, `[2]`},
		{"a true if decides", `
- {event: a, if: "args[0] > 1", ack: [1]}
- {event: a, ack: [2]}`, `"a",2`, `[1]`},
		{"a failing if refuses; no later rule is tried", `
- {event: a, if: "args[0].startsWith('x')", ack: [1]}
- {event: a, ack: [2]}`, `"a",1`, refused("invalid", badCondition)},
		{"a failing if of another event does not matter", `
- {event: b, if: "args[0].startsWith('x')", ack: [1]}
- {event: a, ack: [2]}`, `"a",1`, `[2]`},
		{"an if that is no boolean refuses", `
- {event: a, if: "args[0]", ack: [1]}
- {event: a, ack: [2]}`, `"a",1`, refused("invalid", badCondition)},
		{"deny refuses with its message", `- {event: a, deny: "not \"here\""}`, `"a"`, `[{"ok":false,"error":{"code":"denied","message":"not \"here\""}}]`},
		{"deny ends the search", `
- {event: a, deny: no}
- {event: "*"}`, `"a"`, refused("denied", "no")},
		{"deny under a false if leaves the event to later rules", `
- {event: a, if: "false", deny: no}
- {event: "*"}`, `"a"`, ok},
		{"names beginning auth: are the gateway's, whatever the rules say", `- {event: "*"}`, `"auth:refresh","token"`, refused("denied", gatewaysOwn)},
		{"a prefix does not reach into auth:", `- {event: "a*"}`, `"auth:x"`, refused("denied", gatewaysOwn)},
	} {
		t.Run(c.name, func(t *testing.T) {
			yaml := rules(c.rules)
			if got := start(t, yaml, setup{}).connect("/", "").ask(c.send); got != c.ack {
				t.Errorf("%s is answered\n%s, want\n%s", c.send, got, c.ack)
			}
		})
	}
}

func TestNamespaces_TheNameWinsOverPatternsAndTheLongerPatternOverTheShorter(t *testing.T) {
	w := start(t, `
namespaces:
  "/a*": {rules: [{event: which, ack: ["/a*"]}]}
  "/abc*": {rules: [{event: which, ack: ["/abc*", "${nsp}"]}]}
  "/abcd": {rules: [{event: which, ack: ["/abcd"]}]}
`, setup{})
	for nsp, want := range map[string]string{
		"/a":     `["/a*"]`,
		"/ab":    `["/a*"]`,
		"/abc":   `["/abc*","/abc"]`,
		"/abcde": `["/abc*","/abcde"]`,
		"/abcd":  `["/abcd"]`,
		"/":      refused("denied", noRule),
	} {
		if got := w.connect(nsp, "").ask(`"which"`); got != want {
			t.Errorf("%s: %s, want %s", nsp, got, want)
		}
	}
	if got, want := w.dial(nil).tryJoin("/other", ""), `4/other,{"message":"Invalid namespace"}`; got != want {
		t.Errorf("an unknown namespace: %s, want %s", got, want)
	}
	for nsp, want := range map[string]string{"/": "/", "/a1": "/a*", "/abcd": "/abcd", "/other": ""} {
		if got := w.policy.Label(nsp); got != want {
			t.Errorf("%s falls under %q, want %q", nsp, got, want)
		}
	}
}
