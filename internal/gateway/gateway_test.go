package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/gateway"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// instance is a gateway that runs until the test ends.
type instance struct {
	*gateway.Gateway
	address      string // of the clients' listener
	clients, ops string // base URLs
	stop         context.CancelFunc
	ended        chan error
}

func run(t *testing.T, text string) *instance {
	t.Helper()
	return runWith(t, gateway.Options{Config: load(t, text)})
}

// runWith gives the gateway listeners and runs it.
func runWith(t *testing.T, o gateway.Options) *instance {
	t.Helper()
	o.Clients, o.Ops, o.Version = listen(t), listen(t), "test"
	if o.Peers == nil {
		o.Peers = listen(t)
		t.Cleanup(func() { o.Peers.Close() }) // a node without peers leaves it alone
	}
	g, err := gateway.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	address := o.Clients.Addr().String()
	i := &instance{g, address, "http://" + address, "http://" + o.Ops.Addr().String(), stop, make(chan error, 1)}
	go func() { i.ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-i.ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		i.ended <- nil // for whoever waits after a test that waited itself
		http.DefaultClient.CloseIdleConnections()
	})
	return i
}

func load(t *testing.T, text string) config.Config {
	t.Helper()
	cfg, _, err := config.Load(config.Source{Name: "test.yaml", File: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// eventually polls until the readiness of i satisfies the condition.
func (i *instance) eventually(t *testing.T, status int, part string) {
	t.Helper()
	i.poll(t, "/readyz", func(code int, body string) bool { return code == status && strings.Contains(body, part) })
}

// metric polls until /metrics holds a line.
func (i *instance) metric(t *testing.T, line string) {
	t.Helper()
	i.poll(t, "/metrics", func(_ int, body string) bool { return strings.Contains("\n"+body, "\n"+line+"\n") })
}

func (i *instance) poll(t *testing.T, path string, satisfied func(code int, body string) bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		code, body := get(t, i.ops+path)
		if satisfied(code, body) {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: %d %s", path, code, body)
		}
	}
}

const quick = "drain: {delay: 0s, window: 0s}\n"

func TestRun_OneNodeWithoutRedisServes(t *testing.T) {
	t.Parallel()
	i := run(t, quick)
	i.eventually(t, http.StatusOK, `"ready":true`)
	if code, body := get(t, i.ops+"/livez"); code != http.StatusOK {
		t.Errorf("/livez: %d %s", code, body)
	}
	code, body := get(t, i.clients+"/socket.io/?EIO=4&transport=polling")
	if code != http.StatusOK || !strings.HasPrefix(body, `0{"sid":"`) {
		t.Errorf("handshake: %d %s", code, body)
	}
	for _, path := range []string{"/", "/metrics", "/readyz", "/socket.ioo", "/debug/pprof/"} {
		if code, _ := get(t, i.clients+path); code != http.StatusNotFound {
			t.Errorf("clients see %s: %d", path, code)
		}
	}
	if code, _ := get(t, i.ops+"/debug/pprof/"); code != http.StatusNotFound {
		t.Errorf("the profiler is served though it is off: %d", code)
	}
}

func TestReadiness_SaysWhyRedisIsNotThere(t *testing.T) {
	t.Parallel()
	i := run(t, quick+"redis: {url: 'redis://:hunter2@no-such-host.invalid:6379'}\n")
	i.eventually(t, http.StatusServiceUnavailable, `no-such-host.invalid`)
	if _, body := get(t, i.ops+"/readyz"); strings.Contains(body, "hunter2") {
		t.Errorf("it shows the password: %s", body)
	}
}

func TestRun_ThePathIsServedWithoutItsLastSlash(t *testing.T) {
	t.Parallel()
	i := run(t, answering("yes", ""))
	if code, body := get(t, i.clients+"/socket.io?EIO=4&transport=polling"); code != http.StatusOK || !strings.HasPrefix(body, "0{") {
		t.Errorf("handshake: %d %s", code, body)
	}
	conn, response, err := websocket.DefaultDialer.Dial("ws://"+i.address+"/socket.io?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatalf("WebSocket: %v %v", response, err)
	}
	conn.Close()
}

func TestRun_ACookieCarriesTheSessionsID(t *testing.T) {
	t.Parallel()
	i := run(t, quick+"server: {cookie: io}\n")
	response, body := knock(t, http.DefaultClient, i.clients)
	sid := strings.TrimPrefix(body, `0{"sid":"`)[:20]
	if got, want := response.Header.Get("Set-Cookie"), "io="+sid+"; Path=/; HttpOnly; SameSite=Lax"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRun_ServesUnderThePathItIsGiven(t *testing.T) {
	t.Parallel()
	i := run(t, quick+"server: {path: /live/events}\n")
	if code, body := get(t, i.clients+"/live/events/?EIO=4&transport=polling"); code != http.StatusOK || !strings.HasPrefix(body, "0{") {
		t.Errorf("handshake: %d %s", code, body)
	}
	if code, _ := get(t, i.clients+"/socket.io/?EIO=4&transport=polling"); code != http.StatusNotFound {
		t.Errorf("the usual path is served too: %d", code)
	}
}

func TestRun_MetricsArePresentFromTheStart(t *testing.T) {
	t.Parallel()
	i := run(t, quick+"namespaces: {\"/t-*\": {}}\n")
	i.eventually(t, http.StatusOK, "")
	_, body := get(t, i.ops+"/metrics")
	for _, name := range []string{
		`carillon_connections{transport="polling"} 0`, `carillon_connections{transport="websocket"} 0`,
		`carillon_sockets{namespace="/"} 0`, `carillon_sockets{namespace="/t-*"} 0`,
		"carillon_rooms 0", "carillon_slow_consumers_total 0", "carillon_outbox_bytes 0",
		`carillon_disconnects_total{reason="ping timeout"} 0`, `carillon_broadcasts_total{origin="local"} 0`,
		"carillon_deliveries_total 0", "carillon_delivery_seconds_count 0", "carillon_drain_sessions_remaining 0",
		"carillon_rule_decisions_total", "carillon_acks_total", "carillon_build_info",
	} {
		if !strings.Contains(body, name) {
			t.Errorf("/metrics lacks %s", name)
		}
	}
}

func TestRun_ProfilerWhereItIsOn(t *testing.T) {
	t.Parallel()
	i := run(t, quick+"ops: {pprof: true}\n")
	i.eventually(t, http.StatusOK, "")
	if code, _ := get(t, i.ops+"/debug/pprof/"); code != http.StatusOK {
		t.Errorf("/debug/pprof/: %d", code)
	}
}

func TestRun_ReadyOnceRedisIsThere(t *testing.T) {
	t.Parallel()
	l := listen(t)
	address := l.Addr().String()
	l.Close()
	i := run(t, quick+"redis: {url: redis://"+address+"}\n")
	i.eventually(t, http.StatusServiceUnavailable, `"subscribed":false`)
	if code, _ := get(t, i.clients+"/socket.io/?EIO=4&transport=polling"); code != http.StatusOK {
		t.Errorf("clients are not served while Redis is away: %d", code)
	}
	redis := miniredis.NewMiniRedis()
	if err := redis.StartAddr(address); err != nil {
		t.Fatal(err)
	}
	defer redis.Close()
	i.eventually(t, http.StatusOK, `"subscribed":true`)
}

func TestRun_TwoNodesInOneProcess(t *testing.T) {
	t.Parallel()
	a, b := run(t, quick), run(t, quick)
	a.eventually(t, http.StatusOK, "")
	b.eventually(t, http.StatusOK, "")
}

func TestRun_TurnsUnreadyBeforeItLeaves(t *testing.T) {
	t.Parallel()
	i := run(t, "drain: {delay: 500ms, window: 0s}\n")
	i.eventually(t, http.StatusOK, "")
	i.stop()
	i.eventually(t, http.StatusServiceUnavailable, `"draining":true`)
	// Still in the balancer's eyes for the delay: whoever comes is served.
	if code, _ := get(t, i.clients+"/socket.io/?EIO=4&transport=polling"); code != http.StatusOK {
		t.Errorf("handshake during the delay: %d", code)
	}
	if err := <-i.ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	i.ended <- nil
	if code, _ := get(t, i.ops+"/livez"); code != 0 {
		t.Errorf("the ops listener is still there: %d", code)
	}
}

func TestRun_AnAddressInUseIsAnError(t *testing.T) {
	t.Parallel()
	taken := listen(t)
	defer taken.Close()
	free := listen(t)
	ops := free.Addr().String()
	free.Close()
	g, err := gateway.New(gateway.Options{Config: load(t, quick+"server: {address: '"+taken.Addr().String()+"'}\nops: {address: '"+ops+"'}\n")})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "clients") {
		t.Errorf("Run: %v", err)
	}
	again, err := net.Listen("tcp", ops)
	if err != nil {
		t.Fatalf("the ops address was not let go: %v", err)
	}
	again.Close()
}

func TestCheck_NamesEverythingThatIsWrong(t *testing.T) {
	t.Parallel()
	cfg := load(t, `
server: {tls: {cert: /nowhere/cert.pem, key: /nowhere/key.pem}, client_bundle: /nowhere/bundle}
redis: {url: "rediss://127.0.0.1:1", tls: {ca: /nowhere/ca.pem, cert: /nowhere/cert.pem, key: /nowhere/key.pem}}
`)
	err := gateway.Check(cfg, errors.New("engine.ping_timeout: 0s"))
	if err == nil {
		t.Fatal("no error")
	}
	for _, key := range []string{
		"server.tls.cert", "server.tls.key", "server.client_bundle", "redis.tls.ca", "redis.tls.cert", "redis.tls.key", "engine.ping_timeout",
	} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("the error does not name %s: %v", key, err)
		}
	}
}

func TestCheck_NamesEveryFaultOfRules(t *testing.T) {
	t.Parallel()
	cfg := load(t, `
namespaces:
  "/":
    rules:
      - {event: a, if: "nonsense(", do: [{join: r}]}
      - {event: b, do: [{join: "${reason}"}]}
`)
	err := gateway.Check(cfg, nil)
	if err == nil || !strings.Contains(err.Error(), `namespaces["/"].rules[0].if`) || !strings.Contains(err.Error(), `namespaces["/"].rules[1].do[0].join`) {
		t.Errorf("the error does not name both: %v", err)
	}
}

func TestCheck_RefusesAFolderWithoutTheClient(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	err := gateway.Check(load(t, "server: {client_bundle: '"+dir+"'}\n"), nil)
	if err == nil || !strings.Contains(err.Error(), "server.client_bundle: ") || !strings.Contains(err.Error(), "socket.io.min.js") {
		t.Errorf("an empty folder: %v", err)
	}
}

func TestReadyz_IsJSON(t *testing.T) {
	t.Parallel()
	i := run(t, quick)
	i.eventually(t, http.StatusOK, "")
	_, body := get(t, i.ops+"/readyz")
	var conditions map[string]bool
	if err := json.Unmarshal([]byte(body), &conditions); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	for _, name := range []string{"ready", "subscribed", "peers", "draining", "deaf", "redis"} {
		if _, ok := conditions[name]; !ok {
			t.Errorf("/readyz does not tell %s", name)
		}
	}
}
