package config_test

import (
	"testing"

	"github.com/carillon-io/carillon/internal/config"
)

func warningsOf(t *testing.T, source config.Source) []string {
	t.Helper()
	_, warnings, err := config.Load(source)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, w := range warnings {
		lines = append(lines, w.String())
	}
	return lines
}

func TestIntent_EveryOriginShutsOutBrowsersOf2x(t *testing.T) {
	assertLines(t, warningsOf(t, config.Source{File: []byte("server: {origins: [https://a.example, '*']}\nengine: {eio3: true}\n")}),
		`line 1: server.origins[1]: "*" shuts out browsers with Socket.IO 2.x (engine.eio3): they send credentials, which * forbids; `+
			`list the origins of your pages`)
	assertLines(t, warningsOf(t, config.Source{File: []byte("server: {origins: ['*']}\n")}))
	assertLines(t, warningsOf(t, config.Source{File: []byte("server: {origins: [https://a.example]}\nengine: {eio3: true}\n")}))
}

func TestIntent_AShortSecretCanBeGuessed(t *testing.T) {
	secret := func(text string) config.Source {
		return config.Source{File: []byte("auth: {jwt: {secret: \"" + text + "\"}}\n")}
	}
	const long = "0123456789abcdef0123456789abcdef"
	assertLines(t, warningsOf(t, secret(long+`\n`+long+`x\n`)))
	assertLines(t, warningsOf(t, secret(long+`\nhunter2\n`)),
		`line 1: auth.jwt.secret: has a secret of 7 bytes, which can be guessed from a token; use 32 or more`)
}

func TestIntent_AnIDOf2xIsNotPublished(t *testing.T) {
	const secret = ": publishes sid, the session secret of a Socket.IO 2.x client (engine.eio3): others can speak and listen in its name; " +
		"publish an id from the token or from auth"
	rules := `namespaces:
  /:
    connect:
      do: [{broadcast: {event: a, args: [{id: "${sid}"}]}}]
    rules:
      - event: a
        do:
          - reply: {event: a, args: ["${sid}"]}
          - emit: {to: "${sid}", event: a, args: ["id ${'x' + sid}"]}
          - emit: {to: a, event: a, args: ["sid", "${args[0].sid}", "${'sid'}", "${sides}", "$${sid}"]}
    disconnect:
      do: [{broadcast: {event: a, args: "${[sid]}"}}]
`
	assertLines(t, warningsOf(t, config.Source{File: []byte(rules + "engine: {eio3: true}\n")}),
		`line 4: namespaces["/"].connect.do[0].broadcast.args`+secret,
		`line 9: namespaces["/"].rules[0].do[1].emit.args`+secret,
		`line 12: namespaces["/"].disconnect.do[0].broadcast.args`+secret)
	assertLines(t, warningsOf(t, config.Source{File: []byte(rules)}))
	base := config.Default()
	base.Engine.EIO3 = true
	assertLines(t, warningsOf(t, config.Source{Base: &base, File: []byte(rules)}))
}

func TestLoad_WarningsOfRulesSayWhereTheyStand(t *testing.T) {
	assertLines(t, warningsOf(t, config.Source{
		File: []byte("namespaces:\n  /:\n    rules:\n      - name: a\n        event: a\n"),
		Rules: func(map[string]config.Namespace) ([]config.Fault, []config.Warning) {
			return nil, []config.Warning{
				{Key: `namespaces["/"].rules[0].event`, Message: "second"}, {Key: `namespaces["/"].rules[0]`, Message: "first"},
			}
		},
	}),
		`line 4: namespaces["/"].rules[0]: first`,
		`line 5: namespaces["/"].rules[0].event: second`)
}

func TestIntent_PeersThatCannotBeReachedOrTrusted(t *testing.T) {
	const long = "0123456789abcdef0123456789abcdef"
	for text, want := range map[string]string{
		"secret: " + long:                           "",
		"secret: hunter2":                           "peer.secret: has 7 bytes, which can be guessed from one relayed request; use 32 or more",
		"advertise: http://10.0.0.1:9091":           "",
		"advertise: http://10.0.0.1:9091/":          "",
		"advertise: https://10.0.0.1:9091":          "peer.advertise: nodes speak plain HTTP to one another, not https",
		"advertise: http://user:pass@10.0.0.1:9091": "peer.advertise: only host and port are used of it",
		"advertise: http://10.0.0.1:9091/peers":     "peer.advertise: only host and port are used of it",
		"advertise: http://0.0.0.0:9091":            "peer.advertise: 0.0.0.0 is no address that another node can dial",
		"advertise: 'http://[::]:9091'":             "peer.advertise: :: is no address that another node can dial",
		"advertise: http://127.0.0.1:9091":          "peer.advertise: 127.0.0.1 reaches this node from its own machine only",
		"advertise: http://localhost:9091":          "peer.advertise: localhost reaches this node from its own machine only",
		"{secret: " + long + ", nodes: [http://127.0.0.1:9091, https://10.0.0.1:9091]}": "peer.nodes[1]: nodes speak plain HTTP to one another, not https",
	} {
		if text[0] != '{' {
			text = "{" + text + "}"
		}
		var lines []string
		if want != "" {
			lines = append(lines, "line 1: "+want)
		}
		assertLines(t, warningsOf(t, config.Source{File: []byte("peer: " + text + "\n")}), lines...)
	}
}

func TestIntent_StreamsOfAnotherKindHaveNoEffect(t *testing.T) {
	const redis = "redis: {url: 'redis://127.0.0.1'}\n"
	source := func(adapter string) config.Source { return config.Source{File: []byte(redis + adapter)} }
	assertLines(t, warningsOf(t, source("adapter: {streams: {name: a, max_length: 5000}}\n")),
		"line 2: adapter.streams.name: is for adapter.kind: streams, and without effect",
		"line 2: adapter.streams.max_length: is for adapter.kind: streams, and without effect")
	assertLines(t, warningsOf(t, source("adapter: {kind: streams, streams: {name: a, max_length: 5000}}\n")))
}
