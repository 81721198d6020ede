package gateway_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/gateway"
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
	"github.com/carillon-io/carillon/test/await"
)

const handshake = "/socket.io/?EIO=4&transport=polling"

// refused checks the answer to a handshake that a limit does not let in.
func (i *instance) refused(t *testing.T, message string) {
	t.Helper()
	response := ask(t, http.MethodGet, i.clients+handshake)
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("%s: %s, Retry-After %q", message, response.Status, response.Header.Get("Retry-After"))
	}
	if code, body := get(t, i.clients+handshake); code != http.StatusServiceUnavailable || body != `{"code":3,"message":"`+message+`"}` {
		t.Errorf("%d %s, want %s", code, body, message)
	}
}

func TestLimits_Connections(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "carillon.yaml")
	save(t, file, answering("yes", "limits: {connections: 2}\n"))
	i, _ := runFile(t, file)
	c, d := connect(t, i.clients, nil), connect(t, i.clients, nil)
	i.refused(t, "Too many connections")
	i.metric(t, `carillon_handshakes_total{result="too many",transport="polling"} 2`)
	c.asks(`["yes"]`, "ping") // who is in stays in
	if response := ask(t, http.MethodGet, i.clients+handshake+"&sid="); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("an empty sid is none: %s", response.Status)
	}
	if response := ask(t, http.MethodGet, i.clients+handshake+"&sid=unknown"); response.StatusCode != http.StatusBadRequest {
		t.Errorf("requests of a session are not handshakes: %s", response.Status)
	}

	d.Close()
	// Its place is free a moment after it has ceased to be a connection. A session over polling takes it.
	await.True(t, "a place is free", func() bool {
		code, _ := get(t, i.clients+handshake)
		return code == http.StatusOK
	})
	i.refused(t, "Too many connections")

	save(t, file, answering("yes", "limits: {connections: 3}\n"))
	if err := i.Reload(); err != nil {
		t.Fatal(err)
	}
	connect(t, i.clients, nil)
	i.refused(t, "Too many connections")
}

func TestLimits_ConnectionsPerIP(t *testing.T) {
	t.Parallel()
	i := run(t, quick+"limits: {connections_per_ip: 1}\nserver: {trusted_proxies: [127.0.0.0/8]}\n")
	from := func(address string) int {
		request, err := http.NewRequest(http.MethodGet, i.clients+handshake, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Forwarded-For", address)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	if a, again, b := from("192.0.2.1"), from("192.0.2.1"), from("192.0.2.2"); a != 200 || again != 503 || b != 200 {
		t.Errorf("one address %d, again %d, another %d", a, again, b)
	}
	i.metric(t, `carillon_handshakes_total{result="too many of address",transport="polling"} 1`)
}

func TestLimits_Handshakes(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "carillon.yaml")
	save(t, file, answering("yes", "limits: {handshakes: 1}\n"))
	i, _ := runFile(t, file)
	c := connect(t, i.clients, nil)
	i.eventuallyRefused(t)
	if response := ask(t, http.MethodPost, i.clients+handshake); response.StatusCode != http.StatusBadRequest {
		t.Errorf("a POST opens no session: %s", response.Status)
	}
	c.asks(`["yes"]`, "ping")

	save(t, file, answering("yes", ""))
	if err := i.Reload(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if response, _ := knock(t, http.DefaultClient, i.clients); response.StatusCode != http.StatusOK {
			t.Fatalf("without the limit: %s", response.Status)
		}
	}
}

// eventuallyRefused makes handshakes until one comes too soon after another.
func (i *instance) eventuallyRefused(t *testing.T) {
	t.Helper()
	for range 1000 {
		response, _ := knock(t, http.DefaultClient, i.clients)
		if response.StatusCode == http.StatusOK {
			continue
		}
		if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "1" {
			t.Errorf("%s, Retry-After %q", response.Status, response.Header.Get("Retry-After"))
		}
		i.metric(t, `carillon_limited_total{limit="handshakes"} 1`)
		return
	}
	t.Fatal("1,000 handshakes were let in")
}

func TestLimits_UnknownSessionsPerAddress(t *testing.T) {
	t.Parallel()
	cfg := load(t, quick+"server: {trusted_proxies: [127.0.0.0/8]}\nlimits: {unknown_sids: 5}\n")
	i := runWith(t, gateway.Options{Config: cfg})
	guess := func(address string) int {
		return ask(t, http.MethodGet, i.clients+handshake+"&sid=AAAAAAAAAAAAAAAAAAAA", "X-Forwarded-For", address).StatusCode
	}
	// More than five fall into some second.
	for n := 0; ; n++ {
		code := guess("192.0.2.1")
		if code == http.StatusServiceUnavailable {
			break
		}
		if code != http.StatusBadRequest || n > 1000 {
			t.Fatalf("guess %d: %d", n, code)
		}
	}
	i.metric(t, `carillon_limited_total{limit="unknown_sids"} 1`)
	if code := guess("192.0.2.2"); code != http.StatusBadRequest {
		t.Errorf("another address pays for it: %d", code)
	}
	if response, _ := knock(t, http.DefaultClient, i.clients, "X-Forwarded-For", "192.0.2.1"); response.StatusCode != http.StatusOK {
		t.Errorf("a handshake is no guess: %s", response.Status)
	}
}

func TestLimits_NoneUnlessSaid(t *testing.T) {
	t.Parallel()
	i := run(t, quick+"limits: {unknown_sids: 0}\n")
	for range 200 {
		if code, _ := get(t, i.clients+handshake+"&sid=AAAAAAAAAAAAAAAAAAAA"); code != http.StatusBadRequest {
			t.Fatalf("unknown session: %d", code)
		}
	}
	for _, limit := range []string{"handshakes", "unknown_sids"} {
		i.metric(t, `carillon_limited_total{limit="`+limit+`"} 0`)
	}
}

func TestLimits_RoomsOfASocket(t *testing.T) {
	t.Parallel()
	const rules = quick + `namespaces: {"/": {rules: [{event: join, do: [{join: "${args[0]}"}]}]}}` + "\n"
	file := filepath.Join(t.TempDir(), "carillon.yaml")
	save(t, file, rules+"limits: {rooms: 1}\n")
	i, _ := runFile(t, file)
	c := connect(t, i.clients, nil)
	c.asks(`[{"ok":true}]`, "join", "a")
	c.asks(`[{"ok":false,`, "join", "b")

	i.reloads(t, file, rules+"limits: {rooms: 2}\n")
	c.asks(`[{"ok":true}]`, "join", "b")
	c.asks(`[{"ok":false,`, "join", "c")

	i.reloads(t, file, rules+"limits: {rooms: 0}\n")
	c.asks(`[{"ok":true}]`, "join", []string{"c", "d", "e"})
}

func TestLimits_NamespacesThatAPatternAllows(t *testing.T) {
	t.Parallel()
	const rules = quick + `namespaces: {"/t-*": {}}` + "\n"
	file := filepath.Join(t.TempDir(), "carillon.yaml")
	save(t, file, rules+"limits: {namespaces: 1}\n")
	i, _ := runFile(t, file)
	one, two := socketiotest.Options{Namespace: "/t-1"}, socketiotest.Options{Namespace: "/t-2"}
	socketiotest.Dial(t, i.clients, one)
	if r := socketiotest.DialRefused(t, i.clients, two); r.Message != "" {
		t.Errorf("answered %q; a limit closes the connection, and the client tries again", r.Message)
	}

	i.reloads(t, file, rules+"limits: {namespaces: 2}\n")
	socketiotest.Dial(t, i.clients, two)
}

func TestLimits_BytesWaitingForAllClients(t *testing.T) {
	t.Parallel()
	const rules = quick + `namespaces: {"/": {rules: [{event: all, do: [{broadcast: {event: all, args: "${args}", exclude_sender: true}}]}]}}` + "\n"
	file := filepath.Join(t.TempDir(), "carillon.yaml")
	save(t, file, rules)
	i, _ := runFile(t, file)
	_, body := fetch(t, http.DefaultClient, http.MethodGet, i.clients+handshake, "")
	_, sid, _ := strings.Cut(body, `"sid":"`)
	session := i.clients + handshake + "&sid=" + sid[:20]
	fetch(t, http.DefaultClient, http.MethodPost, session, "40")
	fetch(t, http.DefaultClient, http.MethodGet, session, "") // and then no more
	c := connect(t, i.clients, nil)
	c.asks(`[{"ok":true}]`, "all", strings.Repeat("x", 100_000))
	i.metric(t, `carillon_slow_consumers_total 0`)

	i.reloads(t, file, rules+"limits: {outbox_total: 150kB}\n")
	c.asks(`[{"ok":true}]`, "all", strings.Repeat("x", 100_000))
	i.metric(t, `carillon_slow_consumers_total 1`)
}

// reloads saves a configuration and puts it in force.
func (i *instance) reloads(t *testing.T, file, text string) {
	t.Helper()
	save(t, file, text)
	if err := i.Reload(); err != nil {
		t.Fatal(err)
	}
}
