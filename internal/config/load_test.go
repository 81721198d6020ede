package config_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/config"
)

// mustLoad loads a file that has nothing wrong.
func mustLoad(t *testing.T, source config.Source) config.Config {
	t.Helper()
	cfg, _, err := config.Load(source)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return cfg
}

// faultsOf returns the lines of the error a source is refused with.
func faultsOf(t *testing.T, source config.Source) []string {
	t.Helper()
	_, _, err := config.Load(source)
	if err == nil {
		return nil
	}
	var faults *config.Error
	if !errors.As(err, &faults) {
		t.Fatalf("error is a %T: %v", err, err)
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != len(faults.Faults) {
		t.Fatalf("%d faults in %d lines:\n%v", len(faults.Faults), len(lines), err)
	}
	return lines
}

func assertLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got:\n\t%s\nwant:\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestDefault_EqualsTheDocumentedFile(t *testing.T) {
	documented, warnings, err := config.LoadFile("testdata/defaults.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) > 0 {
		t.Errorf("the documented defaults give warnings: %v", warnings)
	}
	defaults := config.Default()
	defaults.Adapter.Kind = config.AdapterMemory
	if !reflect.DeepEqual(documented, defaults) {
		t.Errorf("got %+v\nwant %+v", documented, defaults)
	}
}

func TestDefault_EqualsAnEmptyFile(t *testing.T) {
	defaults := config.Default()
	defaults.Adapter.Kind = config.AdapterMemory
	for _, file := range []string{
		"", "\n", "# only a comment\n", "---\n", "null", "server:\nengine: ~\nlog: {level: }\n",
	} {
		if cfg := mustLoad(t, config.Source{File: []byte(file)}); !reflect.DeepEqual(cfg, defaults) {
			t.Errorf("%q: got %+v", file, cfg)
		}
	}
}

func TestLoad_ReadsEveryTypeOfValue(t *testing.T) {
	cfg := mustLoad(t, config.Source{File: []byte(`
server:
  path: /ws
  trusted_proxies: [10.0.0.0/8, "fd00::/8"]
  origins: [https://example.com, https://*.example.com, capacitor://localhost, "null", "*"]
ops: {pprof: "true"}
engine: {transports: [websocket], ping_interval: 1m30s, max_payload: 2MB, outbox: 3000000}
socketio: {max_attachments: 3}
redis: {url: redis://localhost:6379/1, password: 0123}
`)})
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"path with its slash", cfg.Server.Path, "/ws/"},
		{"networks", cfg.Server.TrustedProxies, []netip.Prefix{
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"),
		}},
		{"origins", len(cfg.Server.Origins), 5},
		{"quoted truth value", cfg.Ops.PProf, true},
		{"list", cfg.Engine.Transports, []string{config.TransportWebSocket}},
		{"duration", cfg.Engine.PingInterval, 90 * time.Second},
		{"size with a unit", cfg.Engine.MaxPayload, 2 * config.Megabyte},
		{"size without a unit", cfg.Engine.Outbox, config.Size(3_000_000)},
		{"whole number", cfg.SocketIO.MaxAttachments, 3},
		{"digits as text", cfg.Redis.Password, config.Secret("0123")},
		{"kind by the Redis", cfg.Adapter.Kind, config.AdapterPubSub},
		{"the hard bound of a large outbox", cfg.Engine.OutboxHard, 8 * config.Mebibyte},
		{"what was not given", cfg.Engine.PingTimeout, 20 * time.Second},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: got %#v, want %#v", c.name, c.got, c.want)
		}
	}
}

func TestLoad_DoesNotSubstitute(t *testing.T) {
	cfg := mustLoad(t, config.Source{
		File:    []byte("redis: {url: 'redis://localhost', username: '${USER}'}"),
		Environ: []string{"USER=root"},
	})
	if cfg.Redis.Username != "${USER}" {
		t.Errorf("got %q", cfg.Redis.Username)
	}
}

func TestLoad_NamesEveryFaultAtOnceInTheOrderOfTheFile(t *testing.T) {
	assertLines(t, faultsOf(t, config.Source{
		Name: "carillon.yaml",
		File: []byte(`server:
  addres: ":80"
  tls: none
engine:
  pingInterval: 3s
  ping_timeout: 0s
  transports: [polling, websockets]
  transports: [polling]
log:
  level: loud
recovery: {}
`),
		Environ: []string{"CARILLON_OPS_ADDRESS=9090", "CARILLON_DRAIN_DELAY=5"},
	}),
		`carillon.yaml:2: server.addres: unknown key with value ":80"; the nearest valid name is server.address`,
		`carillon.yaml:3: server.tls: must be keys and values, not text`,
		`carillon.yaml:5: engine.pingInterval: unknown key with value "3s"; the nearest valid name is engine.ping_interval`,
		`carillon.yaml:6: engine.ping_timeout: 0s must be more than 0`,
		`carillon.yaml:7: engine.transports[1]: "websockets" is not one of polling, websocket; the nearest is websocket`,
		`carillon.yaml:8: engine.transports: stands twice; the first is in line 7`,
		`carillon.yaml:10: log.level: "loud" is not one of debug, info, warn, error; the nearest is debug`,
		`carillon.yaml:11: recovery: unknown key; the nearest valid name is socketio.recovery`,
		`CARILLON_DRAIN_DELAY: drain.delay: "5" is not a duration such as 25s or 1m30s`,
		`CARILLON_OPS_ADDRESS: ops.address: "9090" is not host:port, such as :8080`,
	)
}

func TestLoad_NamesTheNearestKey(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{`redis: {pasword: x}`, `redis.pasword: unknown key; the nearest valid name is redis.password`},
		{`redis: {pwd: x}`, `redis.pwd: unknown key; the nearest valid name is redis.password`},
		{`redis: {user: x}`, `redis.user: unknown key; the nearest valid name is redis.username`},
		{`redis: {uri: x}`, `redis.uri: unknown key; the nearest valid name is redis.url`},
		{`server: {port: 80}`, `server.port: unknown key with value "80"; the nearest valid name is server.address`},
		{`server: {cors: 80}`, `server.cors: unknown key with value "80"; the nearest valid name is server.origins`},
		{`server: {"": 80}`, `server[""]: unknown key; the nearest valid name is server.tls`},
		{`server: {orgins}`, `server.orgins: unknown key; the nearest valid name is server.origins`},
		{`namespaces: {"": {}}`, `namespaces[""]: "" does not begin with /`},
		{`auth: {jwt: {secrets: x}}`, `auth.jwt.secrets: unknown key; the nearest valid name is auth.jwt.secret`},
		{`ping_interval: 3s`, `ping_interval: unknown key with value "3s"; the nearest valid name is engine.ping_interval`},
		{`server: {maxPayload: 1MB}`, `server.maxPayload: unknown key with value "1MB"; the nearest valid name is engine.max_payload`},
	} {
		assertLines(t, faultsOf(t, config.Source{File: []byte(c.file)}), "line 1: "+c.want)
	}
}

func TestLoad_RefusesWhatIsNotOnePlainDocument(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for _, level := range []string{"b", "c", "d", "e", "f", "g"} {
		previous := string(level[0] - 1)
		bomb += level + ": &" + level + " [" + strings.TrimSuffix(strings.Repeat("*"+previous+",", 10), ",") + "]\n"
	}
	for name, c := range map[string]struct{ file, want string }{
		"two documents":      {"log: {level: info}\n---\nlog: {level: warn}\n", "a second document"},
		"broken YAML":        {"server:\n  path: [\n", "line 2: not YAML: "},
		"braces in braces":   {"log:\n  level: info\na: {b: ${c}}\nd: 1\n", "line 3: not YAML: "},
		"outdented":          {"log:\n  level: info\n format: json\n", "line 3: not YAML: "},
		"colon in text":      {"log:\n  level: a: b\n", "line 2: not YAML: "},
		"first line":         {"log: {level: info\n", "line 1: not YAML: "},
		"in a list":          {"a:\n  - b\n  c: d\n", "line 2: not YAML: "},
		"a list":             {"- server\n", "must be keys and values, not a list"},
		"a word":             {"server\n", "line 1: must be keys and values, not text"},
		"alias of itself":    {"server: &a {tls: *a}\n", "nested too deeply"},
		"alias bomb":         {bomb, "the document is too large"},
		"deep nesting":       {"a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "nested too deeply"},
		"merge key":          {"x: &x {address: ':1'}\nserver: {<<: *x}", "merge keys (<<) are not supported"},
		"list as a key":      {"? [a]\n: b\n", "a key must be text, not a list"},
		"unknown anchor":     {"server: *nowhere", "unknown anchor"},
		"invalid characters": {"server: {path: \"\xff\"}", "not YAML: "},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(faultsOf(t, config.Source{File: []byte(c.file)}), "\n"); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want it to contain %q", got, c.want)
			}
		})
	}
}

func TestLoad_ReplacesAliases(t *testing.T) {
	cfg := mustLoad(t, config.Source{File: []byte(`
namespaces:
  "/a": &shared {rules: [{event: ping}]}
  "/b": *shared
`)})
	if got := cfg.Namespaces["/b"].Rules; len(got) != 1 || got[0].Event[0] != "ping" {
		t.Errorf("got %+v", got)
	}
}

func TestLoad_FileOverridesBaseAndEnvironmentOverridesFile(t *testing.T) {
	base := config.Default()
	base.Engine.PingInterval = time.Second
	base.Engine.PingTimeout = time.Second
	base.Engine.UpgradeTimeout = time.Second
	base.Namespaces = map[string]config.Namespace{"/demo": {}}
	cfg := mustLoad(t, config.Source{
		Base:    &base,
		File:    []byte("engine: {ping_timeout: 2s, upgrade_timeout: 2s}\nnamespaces: {/mine: {}}"),
		Environ: []string{"CARILLON_ENGINE_UPGRADE_TIMEOUT=3s"},
	})
	got := [3]time.Duration{cfg.Engine.PingInterval, cfg.Engine.PingTimeout, cfg.Engine.UpgradeTimeout}
	if want := [3]time.Duration{time.Second, 2 * time.Second, 3 * time.Second}; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if want := map[string]config.Namespace{"/": {}, "/mine": {}}; !reflect.DeepEqual(cfg.Namespaces, want) {
		t.Errorf("namespaces: got %v, want %v", cfg.Namespaces, want)
	}
	if len(base.Namespaces) != 1 || base.Engine.PingTimeout != time.Second {
		t.Errorf("Load changed its base: %+v", base)
	}
}

func TestLoad_ChoosesTheAdapterAnewOverALoadedBase(t *testing.T) {
	base := mustLoad(t, config.Source{})
	redis := []byte("redis: {url: 'redis://localhost'}")
	if cfg := mustLoad(t, config.Source{Base: &base, File: redis}); cfg.Adapter.Kind != config.AdapterPubSub {
		t.Errorf("with a Redis over a base without one: %s", cfg.Adapter.Kind)
	}
	asked := append(redis, "\nadapter: {kind: memory}"...)
	if cfg := mustLoad(t, config.Source{Base: &base, File: asked}); cfg.Adapter.Kind != config.AdapterMemory {
		t.Errorf("asked for memory: %s", cfg.Adapter.Kind)
	}
}

func TestLoadFile_ReadsTheFileAndTheFilesOfVariables(t *testing.T) {
	dir := t.TempDir()
	file, secret := filepath.Join(dir, "carillon.yaml"), filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte("log: {level: warn}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(secret, []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, _, err := config.LoadFile(file, []string{"CARILLON_REDIS_PASSWORD_FILE=" + secret})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Log.Level != "warn" || cfg.Redis.Password != "hunter2" {
		t.Errorf("got level %q, password %q", cfg.Log.Level, string(cfg.Redis.Password))
	}
	if _, _, err := config.LoadFile(filepath.Join(dir, "missing.yaml"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, _, err := config.LoadFile("", nil); err != nil {
		t.Errorf("no file: %v", err)
	}
}

func TestLoad_RoutesHaveDefaultsOfTheirOwn(t *testing.T) {
	// Refused as not built, and read all the same.
	cfg, _, _ := config.Load(config.Source{File: []byte("routes: {orders: {partitions: 4}, plain: }")})
	want := config.DefaultRoute()
	if got := cfg.Routes["plain"]; !reflect.DeepEqual(got, want) {
		t.Errorf("plain: got %+v", got)
	}
	want.Partitions = 4
	if got := cfg.Routes["orders"]; !reflect.DeepEqual(got, want) {
		t.Errorf("orders: got %+v", got)
	}
}
