package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// relayedUpgrade is a session of one node whose WebSocket comes through a second one and whose polls and POSTs come through a
// third.
type relayedUpgrade struct {
	*wanderer
	conn  *websocket.Conn
	third *instance
}

func newRelayedUpgrade(t *testing.T, more string) relayedUpgrade {
	t.Helper()
	nodes := trio(t, more)
	w := &wanderer{t: t, nodes: nodes}
	sid := w.connect() // at nodes[1]
	w.nodes = [3]*instance{nodes[0], nodes[0], nodes[0]}
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+nodes[2].address+"/socket.io/?EIO=4&transport=websocket&sid="+sid, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	return relayedUpgrade{w, conn, nodes[0]}
}

func (u relayedUpgrade) say(text string) {
	u.t.Helper()
	if err := u.conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		u.t.Fatal(err)
	}
}

func (u relayedUpgrade) hear(text string) {
	u.t.Helper()
	if _, got, err := u.conn.ReadMessage(); err != nil || string(got) != text {
		u.t.Fatalf("read %q, %v; want %q", got, err, text)
	}
}

const badRequest = `{"code":3,"message":"Bad request"}`

func TestPeers_APostOnItsWayThroughAThirdNodeWhenTheClientSwitches(t *testing.T) {
	t.Parallel()
	t.Run("before the owner has it", func(t *testing.T) {
		u := newRelayedUpgrade(t, "")
		const body = `421["echo","late"]`
		post := raw(t, u.third.address, fmt.Sprintf("POST /socket.io/?%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", u.query, len(body), body[:3]))
		u.say("2probe")
		u.hear("3probe")
		u.say("5")
		u.say(`422["echo","a"]`)
		u.hear(`432["a"]`)
		if _, err := io.WriteString(post, body[3:]); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(bufio.NewReader(post), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(response.Body)
		if response.StatusCode != http.StatusBadRequest || string(answer) != badRequest {
			t.Errorf("%d %q; want 400 %q", response.StatusCode, answer, badRequest)
		}
		u.say(`423["echo","b"]`) // and the session goes on
		u.hear(`433["b"]`)
	})
	t.Run("when the owner has answered it", func(t *testing.T) {
		u := newRelayedUpgrade(t, "")
		u.say("2probe")
		u.hear("3probe")
		for i := range 20 {
			u.want(http.MethodPost, fmt.Sprintf(`42["echo",%d]`, i)+"\x1e"+fmt.Sprintf(`421%d["echo",%d]`, i, i), "ok")
		}
		u.say("5")
		for i := range 20 { // what is acknowledged comes once, in order, by the new transport
			u.hear(fmt.Sprintf(`431%d[%d]`, i, i))
		}
	})
}

func TestPeers_AGetThroughAThirdNodeAfterTheSwitchIsRefused(t *testing.T) {
	t.Parallel()
	u := newRelayedUpgrade(t, "")
	u.say("2probe")
	u.hear("3probe")
	u.say("5")
	u.say(`421["echo","a"]`)
	u.hear(`431["a"]`)
	for range 3 {
		if status, body := u.send(http.MethodGet, ""); status != http.StatusBadRequest || body != badRequest {
			t.Errorf("%d %q; want 400 %q, never a noop", status, body, badRequest)
		}
	}
}

// The owner's ticks and time-out hold for an upgrade that is relayed.
func TestPeers_ARelayedUpgradeThatIsNotFinished(t *testing.T) {
	t.Parallel()
	u := newRelayedUpgrade(t, "engine: {upgrade_timeout: 5s}\n")
	u.say("2probe")
	u.hear("3probe")
	for range 3 {
		u.want(http.MethodGet, "", "6")
	}
	if _, _, err := u.conn.ReadMessage(); !websocket.IsCloseError(err, websocket.CloseNoStatusReceived) {
		t.Errorf("the WebSocket ended with %v", err)
	}
	u.want(http.MethodPost, `421["echo","a"]`, "ok")
	for {
		_, body := u.send(http.MethodGet, "")
		if body == "6" {
			continue // a tick of before
		}
		if !strings.HasPrefix(body, `431["a"]`) {
			t.Errorf("by polling: %q", body)
		}
		return
	}
}
