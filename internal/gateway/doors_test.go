package gateway_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/carillon-io/carillon/internal/gateway"
	"github.com/carillon-io/carillon/test/program"
)

const subprotocol = "carillon.v1.json"

const doorRules = quick + `
native: {path: /ws}
sse: {path: /ws/events}
namespaces:
  "/":
    connect: {do: [{join: lobby}]}
    rules:
      - {event: message, do: [{emit: {to: lobby, event: message, args: "${args}"}}]}
      - {event: join, do: [{join: "${args[0]}"}]}
      - {event: rooms, ack: ["${rooms.size()}"]}
      - {event: spam, rate: 1/m, ack: [ok]}
  "/tenant-*": {rules: [{event: who, ack: ["${nsp}"]}]}
`

// native is a WebSocket without Socket.IO.
type native struct {
	*websocket.Conn
	t *testing.T
}

// openNative opens one; headers are name, value, ….
func openNative(t *testing.T, i *instance, path string, protocol string, headers ...string) native {
	t.Helper()
	n, response, err := tryNative(i, path, protocol, headers...)
	if err != nil {
		t.Fatalf("%v %v", err, response)
	}
	t.Cleanup(func() { _ = n.Close() })
	return native{n, t}
}

func tryNative(i *instance, path string, protocol string, headers ...string) (*websocket.Conn, *http.Response, error) {
	dialer := websocket.Dialer{}
	if protocol != "" {
		dialer.Subprotocols = []string{protocol}
	}
	h := http.Header{}
	for n := 0; n < len(headers); n += 2 {
		h.Set(headers[n], headers[n+1])
	}
	return dialer.Dial(strings.Replace(i.clients, "http", "ws", 1)+path, h)
}

func (n native) send(text string) {
	n.t.Helper()
	if err := n.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		n.t.Fatal(err)
	}
}

func (n native) reads(prefix string) {
	n.t.Helper()
	_ = n.SetReadDeadline(time.Now().Add(time.Minute))
	if _, data, err := n.ReadMessage(); err != nil || !strings.HasPrefix(string(data), prefix) {
		n.t.Fatalf("read %q, %v; want %q", data, err, prefix)
	}
}

func (n native) ends(code int) {
	n.t.Helper()
	_ = n.SetReadDeadline(time.Now().Add(time.Minute))
	_, data, err := n.ReadMessage()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != code {
		n.t.Fatalf("read %q, %v; want the code %d", data, err, code)
	}
}

// openEvents opens an event stream.
func openEvents(t *testing.T, c *http.Client, url string, headers ...string) (*http.Response, *bufio.Scanner) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	response, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response, bufio.NewScanner(response.Body)
}

func wantsLine(t *testing.T, lines *bufio.Scanner, want string) {
	t.Helper()
	for lines.Scan() {
		if lines.Text() == want {
			return
		}
	}
	t.Fatalf("no line %q: %v", want, lines.Err())
}

func TestDoors_FollowTheRules(t *testing.T) {
	t.Parallel()
	i := run(t, doorRules)
	official := connect(t, i.clients, nil)
	plain := openNative(t, i, "/ws", "")
	object := openNative(t, i, "/ws", subprotocol)
	object.reads(`{"hello":`)
	response, lines := openEvents(t, http.DefaultClient, i.clients+"/ws/events")
	if response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
	plain.send("hello")
	plain.reads("hello")
	object.reads(`{"event":"message","args":["hello"]}`)
	wantsLine(t, lines, "event: message")
	wantsLine(t, lines, `data: ["hello"]`)
	official.asks(`[2]`, "rooms")

	object.send(`{"event":"join","args":["chat:1"],"id":1}`)
	object.reads(`{"ack":1,"args":[{"ok":true}]}`)
	object.send(`{"event":"rooms","id":2}`)
	object.reads(`{"ack":2,"args":[3]}`)
	object.send(`{"event":"nothing","id":3}`)
	object.reads(`{"ack":3,"args":[{"ok":false,"error":{"code":"denied"`)
	object.send(`{"event":"spam","id":4}`)
	object.reads(`{"ack":4,"args":["ok"]}`)
	object.send(`{"event":"spam","id":5}`)
	object.reads(`{"ack":5,"args":[{"ok":false,"error":{"code":"overloaded"`)

	tenant := openNative(t, i, "/ws/tenant-a", subprotocol)
	tenant.reads(`{"hello":`)
	tenant.send(`{"event":"who","id":1}`)
	tenant.reads(`{"ack":1,"args":["/tenant-a"]}`)
	openNative(t, i, "/ws/nowhere", "").ends(4403)

	i.metric(t, `carillon_connections{transport="native"} 3`)
	i.metric(t, `carillon_connections{transport="sse"} 1`)
	i.metric(t, `carillon_sockets{namespace="/tenant-*"} 1`)
}

func TestDoors_AreShutUnlessOpened(t *testing.T) {
	t.Parallel()
	i := run(t, quick)
	for _, path := range []string{"/ws", "/sse"} {
		if response := ask(t, http.MethodGet, i.clients+path); response.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, response.Status)
		}
	}
}

func TestDoors_TokensByHeaderQueryAndHello(t *testing.T) {
	t.Parallel()
	const rest = "native: {path: /ws}\nsse: {path: /sse}\nsocketio: {connect_timeout: 200ms}\nlog: {level: debug}\n"
	log := &program.Output{}
	i := runWith(t, gateway.Options{Config: load(t, withSecret("s3cret", rest)), Log: log})
	token := tokenOf(t, "s3cret", "ann")
	isAnn := func(n native) {
		t.Helper()
		n.reads(`{"hello":`)
		n.send(`{"event":"who","id":1}`)
		n.reads(`{"ack":1,"args":["ann"]}`)
	}
	isAnn(openNative(t, i, "/ws", subprotocol, "Authorization", "Bearer "+token))
	isAnn(openNative(t, i, "/ws?token="+token, subprotocol))
	n := openNative(t, i, "/ws", subprotocol)
	n.send(`{"hello":{"token":"` + token + `"}}`)
	isAnn(n)
	openNative(t, i, "/ws?token="+token, "")

	for name, hello := range map[string]string{
		"token_invalid": `{"hello":{"token":"nonsense"}}`, "token_missing": `{"hello":{}}`,
	} {
		n := openNative(t, i, "/ws", subprotocol)
		n.send(hello)
		n.reads(`{"error":{"code":"` + name + `"`)
		n.ends(4401)
	}
	n = openNative(t, i, "/ws", subprotocol)
	n.reads(`{"error":{"code":"no_hello"`)
	n.ends(4408)
	openNative(t, i, "/ws", "").ends(4401)
	openNative(t, i, "/ws?token=nonsense", "").ends(4401)

	if response, _ := openEvents(t, http.DefaultClient, i.clients+"/sse?token="+token); response.StatusCode != http.StatusOK {
		t.Errorf("SSE by query: %s", response.Status)
	}
	if response, _ := openEvents(t, http.DefaultClient, i.clients+"/sse"); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("SSE without: %s", response.Status)
	}
	if strings.Contains(log.String(), token) || strings.Contains(log.String(), "nonsense") {
		t.Errorf("a token is in the log:\n%s", log.String())
	}
}

// TestDoors_AHelloIsAuthForTheRules: where they ask for it, and without any key for tokens.
func TestDoors_AHelloIsAuthForTheRules(t *testing.T) {
	t.Parallel()
	i := run(t, quick+`
native: {path: /ws}
namespaces: {"/": {rules: [{event: who, ack: ["${has(auth.name) ? auth.name : 'somebody'}"]}]}}
`)
	n := openNative(t, i, "/ws", subprotocol)
	n.send(`{"hello":{"name":"ann"}}`)
	n.reads(`{"hello":`)
	n.send(`{"event":"who","id":1}`)
	n.reads(`{"ack":1,"args":["ann"]}`)

	silent := openNative(t, i, "/ws", subprotocol)
	silent.reads(`{"hello":`) // a second later
	silent.send(`{"event":"who","id":1}`)
	silent.reads(`{"ack":1,"args":["somebody"]}`)
}

func TestDoors_ACookieCountsForOwnAndListedPagesOnly(t *testing.T) {
	t.Parallel()
	i := run(t, quick+`server: {origins: ["https://app.example"]}
native: {path: /ws}
sse: {path: /sse}
auth: {jwt: {secret: s3cret}, token: [cookie.session]}
`+guarded)
	cookie := "session=" + tokenOf(t, "s3cret", "ann")
	for _, c := range []struct {
		headers []string
		status  int
	}{
		{[]string{"Origin", "https://app.example"}, http.StatusOK},
		{[]string{"Origin", i.clients}, http.StatusOK},
		{[]string{"Sec-Fetch-Site", "same-origin"}, http.StatusOK},
		{[]string{"Sec-Fetch-Site", "cross-site"}, http.StatusUnauthorized},
		{[]string{"Sec-Fetch-Site", "same-site"}, http.StatusUnauthorized},
		{nil, http.StatusUnauthorized},
		{[]string{"Origin", "https://evil.example"}, http.StatusForbidden},
	} {
		headers := append([]string{"Cookie", cookie}, c.headers...)
		if response, _ := openEvents(t, http.DefaultClient, i.clients+"/sse", headers...); response.StatusCode != c.status {
			t.Errorf("SSE, %v: %s", c.headers, response.Status)
		}
		switch c.status {
		case http.StatusOK:
			openNative(t, i, "/ws", subprotocol, headers...).reads(`{"hello":`)
		case http.StatusForbidden:
			if _, response, err := tryNative(i, "/ws", "", headers...); err == nil || response.StatusCode != c.status {
				t.Errorf("WebSocket, %v: %v", c.headers, err)
			}
		default:
			openNative(t, i, "/ws", "", headers...).ends(4401)
		}
	}
}

// TestDoors_HandshakesAreCountedWhateverTheQueryHolds: a session's name means nothing there.
func TestDoors_HandshakesAreCountedWhateverTheQueryHolds(t *testing.T) {
	t.Parallel()
	i := run(t, quick+"native: {path: /ws}\nlimits: {handshakes: 1}\n")
	for range 1000 {
		n, response, err := tryNative(i, "/ws?sid=x", "")
		if err == nil {
			_ = n.Close()
			continue
		}
		if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
			t.Errorf("%s %v", response.Status, response.Header)
		}
		return
	}
	t.Error("no handshake is refused")
}

func TestDoors_ADrainSendsAwayWithoutAWordAgainstComingBack(t *testing.T) {
	t.Parallel()
	i := run(t, doorRules)
	n := openNative(t, i, "/ws", subprotocol)
	n.reads(`{"hello":`)
	_, lines := openEvents(t, http.DefaultClient, i.clients+"/ws/events")
	i.stop()
	n.reads(`{"error":{"code":"going_away"`)
	n.ends(1001)
	for lines.Scan() {
		if text := lines.Text(); strings.HasPrefix(text, "event:") {
			t.Errorf("the stream says %s", text)
		}
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stream breaks off: %v", err)
	}
}

func TestDoors_EventStreamsOverHTTP2(t *testing.T) {
	t.Parallel()
	cert, key := newCertificate(t, "doors")
	i := run(t, doorRules+"server: {tls: {cert: "+quoted(string(cert))+", key: "+quoted(string(key))+"}}\n")
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	t.Cleanup(transport.CloseIdleConnections)
	base := strings.Replace(i.clients, "http:", "https:", 1)
	response, lines := openEvents(t, &http.Client{Transport: transport}, base+"/ws/events")
	if response.StatusCode != http.StatusOK || response.ProtoMajor != 2 {
		t.Fatalf("%s %s", response.Proto, response.Status)
	}
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	ws, answer, err := dialer.Dial(strings.Replace(base, "https", "wss", 1)+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	defer func() { _ = ws.Close() }()
	if err := ws.WriteMessage(websocket.TextMessage, []byte("over TLS")); err != nil {
		t.Fatal(err)
	}
	wantsLine(t, lines, `data: ["over TLS"]`)
}

func quoted(pem string) string { return `"` + strings.ReplaceAll(pem, "\n", `\n`) + `"` }
