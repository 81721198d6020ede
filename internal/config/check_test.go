package config_test

import (
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/config"
)

// TestCheck_RefusesEachImpossibleValue has one case per rule about a single value.
func TestCheck_RefusesEachImpossibleValue(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"server.address", `"8080"`, `"8080" is not host:port, such as :8080`},
		{"server.address", `":http"`, `":http" has no port from 0 to 65535`},
		{"server.address", `":65536"`, `":65536" has no port from 0 to 65535`},
		{"server.address", `[":80"]`, `must be text, not a list`},
		{"server.path", `socket.io/`, `"socket.io/" does not begin with /`},
		{"server.path", `""`, `"" does not begin with /`},
		{"server.path", `"/a?b"`, `"/a?b/" is not a plain path`},
		{"server.origins", `https://a.example`, `must be a list, not "https://a.example"`},
		{"server.header_timeout", `0`, `0s must be more than 0`},
		{"server.header_timeout", `10`, `"10" is not a duration such as 25s or 1m30s`},
		{"ops.address", `""`, `"" is not host:port, such as :8080`},
		{"ops.pprof", `yes`, `"yes" is not true or false`},
		{"peer.address", `9091`, `"9091" is not host:port, such as :8080`},
		{"peer.advertise", `10.0.0.1:9091`, `is not a URL beginning with http:// or https://`},
		{"ops.address", `"u:p@h:80"`, `"********@h:80" is not host:port, such as :8080`},
		{"engine.transports", `[]`, `no transport: name polling, websocket or both`},
		{"engine.ping_interval", `-1s`, `-1s must be more than 0`},
		{"engine.ping_timeout", `0s`, `0s must be more than 0`},
		{"engine.upgrade_timeout", `soon`, `"soon" is not a duration such as 25s or 1m30s`},
		{"engine.max_payload", `0`, `0 must be more than 0`},
		{"engine.max_payload", `1mb`,
			`"1mb" is not a size such as 1MB, 1MiB or 1000000 (units: B, kB, MB, GB, KiB, MiB, GiB)`},
		{"engine.max_payload", `99999999999GB`, `"99999999999GB" is too large`},
		{"engine.eio3", `1`, `"1" is not true or false`},
		{"engine.outbox", `1kB`, `1kB must be at least 4KiB`},
		{"socketio.parser", `messagepack`,
			`"messagepack" is not one of default, msgpack, auto; the nearest is msgpack`},
		{"socketio.connect_timeout", `0s`, `0s must be more than 0`},
		{"socketio.max_attachments", `0`, `0 must be more than 0`},
		{"socketio.max_attachments", `many`, `"many" is not a whole number`},
		{"socketio.max_namespaces", `-1`, `-1 must be more than 0`},
		{"socketio.max_depth", `0`, `0 must be from 1 to 10000`},
		{"socketio.max_depth", `100000000`, `100000000 must be from 1 to 10000`},
		{"socketio.recovery.bytes", `0`, `0 must be more than 0`},
		{"server.cookie", `"a b"`, `"a b" is not the name of a cookie`},
		{"engine.outbox_hard", `1kB`, `1kB must be at least 1MiB`},
		{"adapter.interest", `rooms`, `"rooms" is not one of room, namespace; the nearest is room`},
		{"native.path", `ws`, `"ws" does not begin with /`},
		{"sse.path", `"/sse?"`, `"/sse?" is not a plain path`},
		{"socketio.max_depth", `1.5`, `"1.5" is not a whole number`},
		{"socketio.recovery.window", `0s`, `0s must be more than 0`},
		{"redis.url", `redis://localhost:99999999`, `has a port that is not one of 1 to 65535`},
		{"redis.url", `redis://localhost:0/1`, `has a port that is not one of 1 to 65535`},
		{"redis.url", `"redis://localhost/0?password=x"`, `takes no parameter "password"; write redis://user:password@host, or set redis.password`},
		{"redis.url", `localhost:6379`, `does not begin with redis://, rediss:// or unix://`},
		{"redis.url", `http://localhost`, `does not begin with redis://, rediss:// or unix://`},
		{"redis.url", `redis://`, `names no host`},
		{"redis.url", `redis://localhost/main`, `names a database that is not a number`},
		{"redis.url", `unix://`, `names no socket`},
		{"redis.username", `true`, `must be text; put quotation marks around it`},
		{"redis.prefix", `""`, `must not be empty`},
		{"redis.prefix", `"{carillon}"`, `"{carillon}" holds a space or a brace`},
		{"redis.queue.messages", `0`, `0 must be more than 0`},
		{"redis.queue.bytes", `0`, `0 must be more than 0`},
		{"redis.queue.age", `0s`, `0s must be more than 0`},
		{"adapter.key", `""`, `must not be empty`},
		{"adapter.request_timeout", `0s`, `0s must be more than 0`},
		{"adapter.sharded.mode", `dynamic_private`,
			`"dynamic_private" is not one of static, dynamic, dynamic-private; the nearest is dynamic-private`},
		{"adapter.max_message", `0`, `0 must be more than 0`},
		{"drain.delay", `-1s`, `-1s must be at least 0s`},
		{"drain.window", `-1s`, `-1s must be at least 0s`},
		{"limits.rooms", `-1`, `-1 must be at least 0`},
		{"limits.outbox_total", `120%`, `"120%" is not a percentage from 0% to 100%`},
		{"limits.outbox_total", `lots`, `"lots" is no percentage such as 25% and is not a size such as 1MB, 1MiB or ` +
			`1000000 (units: B, kB, MB, GB, KiB, MiB, GiB)`},
		{"auth.leeway", `-1s`, `-1s must be at least 0s`},
		{"auth.expiry", `disconect`, `"disconect" is not one of disconnect, keep; the nearest is disconnect`},
		{"log.level", `warning`, `"warning" is not one of debug, info, warn, error; the nearest is warn`},
		{"log.format", `jsn`, `"jsn" is not one of json, console; the nearest is json`},
	} {
		t.Run(c.key+"="+c.value, func(t *testing.T) {
			assertLines(t, faultsOf(t, config.Source{File: []byte(fileWith(c.key, c.value))}), "line 1: "+c.key+": "+c.want)
		})
	}
}

// fileWith returns a one-line file that sets the key at path.
func fileWith(path, value string) string {
	names := strings.Split(path, ".")
	return "{" + strings.Join(names, ": {") + ": " + value + strings.Repeat("}", len(names))
}

func TestCheck_RefusesEachImpossibleElement(t *testing.T) {
	for _, c := range []struct{ key, list, want string }{
		{"server.origins", `[https://a.example, a.example]`, `[1]: "a.example" is not an origin: write ` +
			`https://host[:port], https://*.host, null or *`},
		{"server.trusted_proxies", `[10.0.0.1]`, `[0]: "10.0.0.1" is not a network such as 10.0.0.0/8`},
		{"server.trusted_proxies", `[10.0.0.0/8, ~]`, `[1]: is empty`},
		{"engine.transports", `[websocket, websocket]`, `[1]: "websocket" stands twice`},
		{"engine.transports", `[webtransport]`,
			`[0]: "webtransport" is not one of polling, websocket; the nearest is websocket`},
	} {
		t.Run(c.key+"="+c.list, func(t *testing.T) {
			assertLines(t, faultsOf(t, config.Source{File: []byte(fileWith(c.key, c.list))}), "line 1: "+c.key+c.want)
		})
	}
}

// TestCheck_ChecksKeysWhosePartIsNotBuilt cannot compare whole errors: these keys are refused as unbuilt as well.
func TestCheck_ChecksKeysWhosePartIsNotBuilt(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{`server: {tls: {cert: a.pem}}`, `server.tls.cert: is of no use without server.tls.key`},
		{`redis: {tls: {key: a.pem}}`, `redis.tls.key: is of no use without redis.tls.cert`},
		{`server: {private_headers: ["x y"]}`, `server.private_headers[0]: "x y" is not the name of a header`},
		{`peer: {nodes: [node-1]}`, `peer.nodes[0]: is not a URL beginning with http:// or https://`},
		{`redis: {cluster: {addresses: [node]}}`, `redis.cluster.addresses[0]: "node" is not host:port, such as :8080`},
		{`redis: {sentinel: {addresses: ["s:1"]}}`, `redis.sentinel.addresses: is of no use without redis.sentinel.master`},
		{`redis: {sentinel: {master: m}}`, `redis.sentinel.master: "m" is of no use without redis.sentinel.addresses`},
		{`limits: {connections: -1}`, `limits.connections: -1 must be at least 0`},
		{`limits: {connections_per_ip: -1}`, `limits.connections_per_ip: -1 must be at least 0`},
		{`limits: {handshakes: -1}`, `limits.handshakes: -1 must be at least 0`},
		{`limits: {unknown_sids: -1}`, `limits.unknown_sids: -1 must be at least 0`},
		{`limits: {namespaces: -1}`, `limits.namespaces: -1 must be at least 0`},
		{`limits: {events: {rate: -1}}`, `limits.events.rate: -1 must be at least 0`},
		{`limits: {connects: {rate: -1}}`, `limits.connects.rate: -1 must be at least 0`},
		{`limits: {connects: {burst: -1}}`, `limits.connects.burst: -1 must be at least 0`},
		{`socketio: {max_auth: 0}`, `socketio.max_auth: 0 must be more than 0`},
		{`api: {address: "9092"}`, `api.address: "9092" is not host:port, such as :8080`},
		{`api: {keys: [""]}`, `api.keys[0]: must not be empty`},
		{`history: [{}]`, `history[0].rooms: names no room`},
		{`history: [{namespace: chat, rooms: ["a*b"]}]`, `history[0].namespace: "chat" does not begin with /`},
		{`history: [{namespace: chat, rooms: ["a*b"]}]`, `history[0].rooms[0]: "a*b": a * is only possible at the end`},
		{`history: [{rooms: [a], messages: 0}]`, `history[0].messages: 0 must be more than 0`},
		{`history: [{rooms: [a], age: 0s}]`, `history[0].age: 0s must be more than 0`},
		{`presence: [{rooms: [a]}]`, "presence[0].user: must be a text that names the user, such as ${claims.sub}"},
		{`presence: [{rooms: [a], user: "${sid}", grace: -1s}]`, `presence[0].grace: -1s must be at least 0s`},
		{`routes: {o: {webhook: {}}}`, `routes.o.webhook.url: is not a URL beginning with http:// or https://`},
		{`routes: {o: {webhook: {}}}`, `routes.o.webhook.secret: must not be empty`},
		{`routes: {o: {webhook: {}}}`, `routes.o.webhook: a webhook needs a Redis`},
		{`routes: {o: {webhook: {timeout: 0s}}}`, `routes.o.webhook.timeout: 0s must be more than 0`},
		{`routes: {o: {webhook: {retries: -1}}}`, `routes.o.webhook.retries: -1 must be at least 0`},
		{`namespaces: {/: {connect: {ask: {}}}}`, `namespaces["/"].connect.ask.secret: must not be empty`},
		{`namespaces: {/: {connect: {ask: {timeout: 0s}}}}`, `namespaces["/"].connect.ask.timeout: 0s must be more than 0`},
		{`namespaces: {/: {connect: {ask: {cache: -1s}}}}`, `namespaces["/"].connect.ask.cache: -1s must be at least 0s`},
		{`namespaces: {/: {rules: [{event: a, do: [{leave: a, history: 1}]}]}}`, `.do[0].history: is only possible beside join`},
		{`namespaces: {/: {rules: [{event: a, do: [{join: a, history: x}]}]}}`, `.do[0].history: must be a number of messages or one ${…}`},
		{`namespaces: {/: {rules: [{event: a, do: [{join: a, history: 1, since: b}]}]}}`, `.do[0].since: is only possible beside join, without history`},
		{`limits: {events: {burst: -1}}`, `limits.events.burst: -1 must be at least 0`},
		{`auth: {jwt: {jwks: keys.json}}`, `auth.jwt.jwks: is not a URL beginning with http:// or https://`},
		{`auth: {jwt: {algorithms: [RS255]}}`, `auth.jwt.algorithms[0]: "RS255" is not one of HS256`},
		{`auth: {jwt: {algorithms: [none]}}`, `auth.jwt.algorithms[0]: "none" is not one of HS256`},
		{`auth: {token: [header.auth]}`, `the nearest is header.authorization`},
		{`auth: {token: [cookie.]}`, `the nearest is cookie.<name>`},
		{`routes: {"a b": {}}`, `routes["a b"]: "a b" is not a name of letters, digits, - and _`},
		{`routes: {o: {partitions: 0}}`, `routes.o.partitions: 0 must be from 1 to 1024`},
		{`routes: {o: {deadline: 0s}}`, `routes.o.deadline: 0s must be more than 0`},
		{`routes: {o: {groups: [""]}}`, `routes.o.groups[0]: must not be empty`},
		{`routes: {o: {keep: -1s}}`, `routes.o.keep: -1s must be at least 0s`},
		{`routes: {o: {max_entries: 0}}`, `routes.o.max_entries: 0 must be more than 0`},
		{`routes: {o: {replicas: -1}}`, `routes.o.replicas: -1 must be at least 0`},
		{`routes: {o: {partition: 2}}`, `routes.o.partition: unknown key with value "2"; the nearest valid name is routes.o.partitions`},
	} {
		if got := strings.Join(faultsOf(t, config.Source{File: []byte(c.file)}), "\n"); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want it to contain %q", c.file, got, c.want)
		}
	}
}

func TestCheck_Origins(t *testing.T) {
	for origin, want := range map[string]bool{
		"https://a.example":          true,
		"http://a.example:8080":      true,
		"https://*.a.example":        true,
		"https://*.a.example:8443":   true,
		"capacitor://localhost":      true,
		"chrome-extension://abcdefg": true,
		"http://[::1]:3000":          true,
		"null":                       true,
		"*":                          true,
		"":                           false,
		"a.example":                  false,
		"https://":                   false,
		"https://a.example/":         false,
		"https://a.example/path":     false,
		"https://a.example?":         false,
		"https://a.example#":         false,
		"https://a.example:":         false,
		"https://a.example:99999":    false,
		"https://u:p@a.example":      false,
		"https://a.*.example":        false,
		"https://*.*.example":        false,
		"https://*":                  false,
		"https://*.":                 false,
		"*.a.example":                false,
		"https:a.example":            false,
	} {
		faults := faultsOf(t, config.Source{File: []byte(`server: {origins: ["` + origin + `"]}`)})
		if got := len(faults) == 0; got != want {
			t.Errorf("%q accepted: %v, want %v (%v)", origin, got, want, faults)
		}
	}
}

func TestCheck_AcceptsEveryRedisURL(t *testing.T) {
	for _, url := range []string{
		"redis://localhost", "redis://localhost:6379/0", "rediss://user:p%40ss@redis.example:6380/3",
		"redis://:password@localhost", "redis://[::1]:6379", "unix:///run/redis.sock", "unix://user:pw@/run/redis.sock?db=2",
	} {
		if faults := faultsOf(t, config.Source{File: []byte(`redis: {url: "` + url + `"}`)}); faults != nil {
			t.Errorf("%s: %v", url, faults)
		}
	}
}

func TestCheck_ImpossibleCombinations(t *testing.T) {
	for _, c := range []struct {
		name, file string
		want       []string
	}{
		{"kind without Redis", `adapter: {kind: pubsub}`, []string{
			`line 1: adapter.kind: "pubsub" needs a Redis: set redis.url, redis.cluster.addresses or redis.sentinel.addresses`,
		}},
		{"unknown kind", `adapter: {kind: redis}` + "\n" + `redis: {url: "redis://h"}`, []string{
			`line 1: adapter.kind: "redis" is not one of memory, pubsub, sharded, streams; the nearest is streams`,
		}},
		{"two kinds of Redis", "redis:\n  url: redis://h\n  cluster: {addresses: ['h:1']}\n" +
			"  sentinel: {addresses: ['h:2'], master: m}\n", []string{
			`line 3: redis.cluster.addresses: cannot be set together with redis.url; there is one Redis`,
			`line 4: redis.sentinel.addresses: cannot be set together with redis.url; there is one Redis`,
		}},
		{"token without a key", `namespaces: {/: {connect: {require: token}}}`, []string{
			`line 1: namespaces["/"].connect.require: "token" needs a key: set auth.jwt.secret, auth.jwt.public_key or ` +
				`auth.jwt.jwks`,
		}},
		{"forward without route and Redis", `namespaces: {/: {rules: [{event: o, do: [{forward: orders}]}]}}`, []string{
			`line 1: namespaces["/"].rules[0].do[0].forward: "orders" is not a route; routes is empty`,
			`line 1: namespaces["/"].rules[0].do[0].forward: "orders" needs a Redis: set redis.url, redis.cluster.addresses ` +
				`or redis.sentinel.addresses`,
		}},
		{"forward to a misspelled route", "redis: {url: 'redis://h'}\nroutes: {orders: {}, audit: {}}\n" +
			"namespaces: {/: {rules: [{event: o, do: [{forward: order}]}]}}", []string{
			`line 3: namespaces["/"].rules[0].do[0].forward: "order" is not a route; the nearest is orders`,
		}},
		{"two listeners on one address", "server: {address: ':9000'}\nops: {address: ':9000'}", []string{
			`line 2: ops.address: ":9000" is already server.address`,
		}},
		{"four listeners on two addresses", "server: {address: ':9000'}\nops: {address: ':9001'}\npeer: {address: ':9000'}\n" +
			"api: {address: ':9001', keys: [k]}", []string{
			`line 3: peer.address: ":9000" is already server.address`,
			`line 4: api.address: ":9001" is already ops.address`,
		}},
		{"one path for two doors", "native: {path: /ws}\nsse: {path: /ws}", []string{
			`line 2: sse.path: "/ws" is already native.path`,
		}},
		{"a door on the path of Socket.IO", "native: {path: /socket.io}", []string{
			`line 1: native.path: "/socket.io" is already server.path`,
		}},
		{"cookie token for every origin", "server: {origins: ['*']}\nauth: {token: [query.token, cookie.session]}", []string{
			`line 2: auth.token[1]: "cookie.session" is not possible with server.origins: ["*"]; list the origins of your pages`,
		}},
		{"API without keys", "api: {address: ':9092'}", []string{`line 1: api.address: ":9092" needs keys: set api.keys`}},
		{"history without Redis", "history: [{rooms: [a]}]", []string{
			`line 1: history: needs a Redis, and an adapter.kind other than memory`,
			`line 1: history: not in this version`,
		}},
		{"two listeners on any port", "server: {address: ':0'}\nops: {address: ':0'}", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			assertLines(t, faultsOf(t, config.Source{File: []byte(c.file)}), c.want...)
		})
	}
}

func TestCheck_WarnsOfAnOutboxSmallerThanAMessage(t *testing.T) {
	_, warnings, err := config.Load(config.Source{File: []byte("engine: {outbox: 64KiB, outbox_hard: 128KiB}")})
	if err != nil || len(warnings) != 1 || warnings[0].Key != "engine.outbox_hard" || warnings[0].Line != 1 {
		t.Errorf("warnings %v, error %v", warnings, err)
	}
}
