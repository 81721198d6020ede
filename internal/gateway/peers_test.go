package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gorilla/websocket"

	"github.com/carillon-io/carillon/internal/gateway"
)

// trio runs nodes without a Redis that know one another.
func trio(t *testing.T, more ...string) [3]*instance {
	t.Helper()
	var options [3]gateway.Options
	var addresses []string
	for i := range options {
		options[i].Peers = listen(t)
		addresses = append(addresses, fmt.Sprintf("%q", "http://"+options[i].Peers.Addr().String()))
	}
	var nodes [3]*instance
	for i := range options {
		options[i].Config = load(t, quick+echo+"peer: {secret: s, nodes: ["+strings.Join(addresses, ", ")+"]}\n"+strings.Join(more, ""))
		nodes[i] = runWith(t, options[i])
	}
	return nodes
}

const echo = `
namespaces: {"/": {rules: [{event: echo, do: [], ack: "${args}"}]}}
`

// A client whose every request goes to the next node, as behind a balancer that is not sticky.
type wanderer struct {
	t     *testing.T
	nodes [3]*instance
	next  int
	query string
}

func (w *wanderer) send(method, body string) (int, string) {
	w.t.Helper()
	w.next++
	url := w.nodes[w.next%len(w.nodes)].clients + "/socket.io/?" + w.query
	r, err := http.NewRequestWithContext(w.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func (w *wanderer) want(method, body, answer string) {
	w.t.Helper()
	if status, got := w.send(method, body); status != http.StatusOK || !strings.HasPrefix(got, answer) {
		w.t.Fatalf("%s %q: %d %q; want 200 %q", method, body, status, got, answer)
	}
}

// connect opens a session by polling and joins the main namespace.
func (w *wanderer) connect() (sid string) {
	w.t.Helper()
	w.query = "EIO=4&transport=polling"
	_, body := w.send(http.MethodGet, "")
	sid = strings.TrimPrefix(body, `0{"sid":"`)[:20]
	w.query += "&sid=" + sid
	w.want(http.MethodPost, "40", "ok")
	w.want(http.MethodGet, "", "40{")
	return sid
}

func TestPeers_PollingNeedsNoStickiness(t *testing.T) {
	t.Parallel()
	w := &wanderer{t: t, nodes: trio(t)}
	w.connect()
	for i := range 20 {
		w.want(http.MethodPost, fmt.Sprintf(`42%d["echo",%d]`, i, i), "ok")
		w.want(http.MethodGet, "", fmt.Sprintf("43%d[%d]", i, i))
	}
}

func TestPeers_AnUpgradeMayLandOnAnotherNode(t *testing.T) {
	t.Parallel()
	nodes := trio(t)
	w := &wanderer{t: t, nodes: nodes}
	sid := w.connect()
	owner, relaying := nodes[1], nodes[2]
	w.nodes = [3]*instance{nodes[0], nodes[0], nodes[0]} // polls go through the third one
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+relaying.address+"/socket.io/?EIO=4&transport=websocket&sid="+sid, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	say := func(message, answer string) {
		t.Helper()
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
		if err := conn.WriteMessage(websocket.TextMessage, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := conn.ReadMessage(); err != nil || string(got) != answer {
			t.Fatalf("%s: %q, %v; want %q", message, got, err, answer)
		}
	}
	// A poll that waits through the third node is ended for the upgrade, by the owner's tick.
	waiting := make(chan string, 1)
	go func() {
		_, body := w.send(http.MethodGet, "")
		waiting <- body
	}()
	say("2probe", "3probe")
	if body := <-waiting; body != "6" {
		t.Errorf("the poll that waited: %q; want 6", body)
	}
	if err := conn.WriteMessage(websocket.TextMessage, []byte("5")); err != nil {
		t.Fatal(err)
	}
	say(`421["echo","a"]`, `431["a"]`)
	// A poll that was on its way through a third node when the client switched is refused, never answered with a noop.
	if status, body := w.send(http.MethodGet, ""); status != http.StatusBadRequest {
		t.Errorf("late poll: %d %q", status, body)
	}
	relaying.metric(t, `carillon_relay_websockets 1`)

	// The owner's drain passes through: the client sees why.
	owner.stop()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	if _, _, err := conn.ReadMessage(); err == nil {
		t.Error("the owner has left and the WebSocket goes on")
	}
	relaying.metric(t, `carillon_relay_websockets 0`)
}

func TestPeers_ANodeThatLeavesLetsGoOfWhatItRelays(t *testing.T) {
	t.Parallel()
	for name, upgraded := range map[string]bool{"after the upgrade": true, "in the middle of the upgrade": false} {
		t.Run(name, func(t *testing.T) {
			nodes := trio(t)
			w := &wanderer{t: t, nodes: nodes}
			sid := w.connect()
			relaying := nodes[2]
			w.nodes = [3]*instance{nodes[0], nodes[0], nodes[0]} // polls go through the third one
			conn, _, err := websocket.DefaultDialer.Dial("ws://"+relaying.address+"/socket.io/?EIO=4&transport=websocket&sid="+sid, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			say := func(text string) {
				t.Helper()
				if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			want := func(text string) {
				t.Helper()
				if _, got, err := conn.ReadMessage(); err != nil || string(got) != text {
					t.Fatalf("read %q, %v; want %q", got, err, text)
				}
			}
			say("2probe")
			want("3probe")
			w.want(http.MethodGet, "", "6")
			if !upgraded {
				relaying.stop()
			}
			say("5")
			say(`421["echo","a"]`)
			if upgraded {
				want(`431["a"]`)
				relaying.stop()
			}
			for err == nil {
				_, _, err = conn.ReadMessage()
			}
			if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
				t.Errorf("closed with %v; want 1001", err)
			}
		})
	}
}

// Relayed WebSockets take connections, too: at the limit there is none for another, and room for telling so.
func TestPeers_AtTheLimitARelayedWebSocketIsRefused(t *testing.T) {
	t.Parallel()
	nodes := trio(t, "limits: {connections: 2}\n")
	owner, relaying := nodes[1], nodes[2]
	relaying.dial(t)
	relaying.dial(t)
	relaying.metric(t, "carillon_client_connections 2")
	w := &wanderer{t: t, nodes: [3]*instance{owner, owner, owner}}
	_, response, err := websocket.DefaultDialer.Dial("ws://"+relaying.address+"/socket.io/?EIO=4&transport=websocket&sid="+w.connect(), nil)
	if err == nil || response == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("%v, %v", response, err)
	}
	relaying.metric(t, "carillon_client_connections 2")
	w.want(http.MethodPost, `421["echo","a"]`, "ok")
	w.want(http.MethodGet, "", `431["a"]`)
}

// A client whose balancer does not notice that the node leaves comes back to it with every poll, to the very end.
func TestPeers_ANodeThatLeavesKeepsNoSessionOfAnother(t *testing.T) {
	t.Parallel()
	nodes := trio(t)
	w := &wanderer{t: t, nodes: nodes}
	w.connect()
	owner, leaving := nodes[1], nodes[2]
	get(t, leaving.clients+"/socket.io/?EIO=4&transport=polling") // a silent session of its own holds the node up
	var polling sync.WaitGroup
	polling.Go(func() {
		for {
			response, err := http.Get(leaving.clients + "/socket.io/?" + w.query)
			if err != nil {
				return
			}
			response.Body.Close()
		}
	})
	leaving.stop()
	polling.Wait()
	w.nodes = [3]*instance{owner, owner, owner}
	w.want(http.MethodPost, `421["echo","a"]`, "ok")
	w.want(http.MethodGet, "", `431["a"]`)
}

func TestPeers_OfOneRedisFindOneAnotherAndAgreeOnASecret(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	text := quick + echo + "redis: {url: 'redis://" + server.Addr() + "'}\n"
	var nodes [3]*instance
	for i := range nodes {
		nodes[i] = run(t, text)
		nodes[i].eventually(t, http.StatusOK, `"ready":true`)
	}
	w := &wanderer{t: t, nodes: nodes}
	w.connect()
	for i := range 6 {
		w.want(http.MethodPost, fmt.Sprintf(`42%d["echo",%d]`, i, i), "ok")
		w.want(http.MethodGet, "", fmt.Sprintf("43%d[%d]", i, i))
	}
}

func TestPeers_RefuseForgeriesAsTheProtocolDoes(t *testing.T) {
	t.Parallel()
	nodes := trio(t)
	for _, sid := range []string{"AAAA0123456789abcdef", "x", "%2e%2e%2f"} {
		status, body := get(t, nodes[0].clients+"/socket.io/?EIO=4&transport=polling&sid="+sid)
		if status != http.StatusBadRequest || body != `{"code":1,"message":"Session ID unknown"}` {
			t.Errorf("%s: %d %q", sid, status, body)
		}
	}
	w := &wanderer{t: t, nodes: nodes}
	sid := w.connect()
	guess := sid[:4] + "0123456789abcdef"
	status, body := get(t, nodes[(w.next-1)%3].clients+"/socket.io/?EIO=4&transport=polling&sid="+guess)
	if status != http.StatusBadRequest || body != `{"code":1,"message":"Session ID unknown"}` {
		t.Errorf("a guess with a live tag: %d %q", status, body)
	}
	_, response, err := websocket.DefaultDialer.Dial(
		"ws://"+nodes[(w.next-1)%3].address+"/socket.io/?EIO=4&transport=websocket&sid="+guess, nil)
	if err == nil || response == nil || response.StatusCode != http.StatusBadRequest {
		t.Errorf("an upgrade of a guess: %v, %v", response, err)
	}
}

func TestRebalance_ANodeWithFarTooManyShedsTheSurplus(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	text := quick + echo + "redis: {url: 'redis://" + server.Addr() + "'}\n"
	full, empty := run(t, text), run(t, text)
	for _, node := range []*instance{full, empty} {
		node.eventually(t, http.StatusOK, `"ready":true`)
	}
	for range 10 {
		conn, _, err := websocket.DefaultDialer.Dial("ws://"+full.address+"/socket.io/?EIO=4&transport=websocket", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	full.metric(t, `carillon_connections{transport="websocket"} 10`)
	table := func(r gateway.Rebalancing) string {
		t.Helper()
		var out strings.Builder
		if err := gateway.Rebalance(t.Context(), load(t, text), r, &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for _, r := range []gateway.Rebalancing{{Above: 2.5, Rate: 1e6}, {Above: 1.5, Rate: 1e6, Dry: true}} {
		table(r)
	}
	full.metric(t, `carillon_connections{transport="websocket"} 10`)
	said := table(gateway.Rebalancing{Above: 1.5, Rate: 1e6})
	if !regexp.MustCompile(`(?m)\s10\s+5$`).MatchString(said) || !regexp.MustCompile(`(?m)\s0\s+0$`).MatchString(said) {
		t.Errorf("it said:\n%s", said)
	}
	full.metric(t, `carillon_connections{transport="websocket"} 5`)
}
