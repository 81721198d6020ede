package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a chat on loopback.
func serve(t *testing.T, client string) string {
	t.Helper()
	c, err := newChat()
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(c.routes(client))
	t.Cleanup(func() {
		c.io.Close()
		web.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return web.URL
}

// user is a client over one WebSocket.
type user struct {
	t  *testing.T
	ws *websocket.Conn
}

// dial opens a connection and sends CONNECT.
func dial(t *testing.T, url, auth string) *user {
	t.Helper()
	ws, resp, err := websocket.DefaultDialer.Dial(
		strings.Replace(url, "http", "ws", 1)+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = ws.Close() })
	u := &user{t, ws}
	if open := u.read(); !strings.HasPrefix(open, "0{") {
		t.Fatalf("first packet is %q", open)
	}
	u.send("40" + auth)
	return u
}

// enter connects as name, and hears that count are online then.
func enter(t *testing.T, url, name string, count int) *user {
	t.Helper()
	u := dial(t, url, fmt.Sprintf(`{"name":%q}`, name))
	if answer := u.read(); !strings.HasPrefix(answer, `40{"sid":`) {
		t.Fatalf("CONNECT of %s was answered %q", name, answer)
	}
	u.hears(fmt.Sprintf(`["online",%d]`, count))
	return u
}

func (u *user) send(packet string) {
	u.t.Helper()
	if err := u.ws.WriteMessage(websocket.TextMessage, []byte(packet)); err != nil {
		u.t.Fatal(err)
	}
}

func (u *user) read() string {
	u.t.Helper()
	_ = u.ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, data, err := u.ws.ReadMessage()
	if err != nil {
		u.t.Fatal(err)
	}
	return string(data)
}

// hears reads events, in this order and nothing between them.
func (u *user) hears(events ...string) {
	u.t.Helper()
	for _, want := range events {
		if got := u.read(); got != "42"+want {
			u.t.Fatalf("heard %s, want 42%s", got, want)
		}
	}
}

// asks sends an event and reads its acknowledgement.
func (u *user) asks(event, answer string) {
	u.t.Helper()
	u.send("427" + event)
	if got := u.read(); got != "437["+answer+"]" {
		u.t.Fatalf("%s was answered %s, want %s", event, got, answer)
	}
}

const ok = `{"ok":true}`

func TestRooms_CarryMessagesToTheOthersInThem(t *testing.T) {
	url := serve(t, "")
	ada := enter(t, url, "ada", 1)
	bob := enter(t, url, "bob", 2)
	ada.hears(`["online",2]`)

	ada.asks(`["enter","tea"]`, ok)
	bob.asks(`["message","tea","hello"]`, `{"error":"you are not in that room"}`)
	bob.asks(`["enter","tea"]`, ok)
	ada.hears(`["entered","tea","bob"]`)
	bob.asks(`["message","tea","hello"]`, ok)
	ada.hears(`["message","tea","bob","hello"]`)
	ada.asks(`["leave","tea"]`, ok)
	bob.hears(`["left","tea","ada"]`)
	bob.asks(`["message","tea","anyone?"]`, ok)
	ada.asks(`["enter","tea"]`, ok) // and has heard nothing in between
	bob.hears(`["entered","tea","ada"]`)

	_ = bob.ws.Close()
	ada.hears(`["left","tea","bob"]`, `["online",1]`)
}

func TestPrivate_ReachesEveryDeviceOfBoth(t *testing.T) {
	url := serve(t, "")
	desk := enter(t, url, "ada", 1)
	phone := enter(t, url, "ada", 2)
	bob := enter(t, url, "bob", 3)
	desk.hears(`["online",2]`, `["online",3]`)
	phone.hears(`["online",3]`)

	desk.asks(`["private","bob","psst"]`, ok)
	bob.hears(`["private","ada","bob","psst"]`)
	phone.hears(`["private","ada","bob","psst"]`)
	bob.asks(`["private","ada","yes?"]`, ok)
	desk.hears(`["private","bob","ada","yes?"]`)
	phone.hears(`["private","bob","ada","yes?"]`)
	bob.asks(`["private","eve","hello"]`, `{"error":"eve is not here"}`)
}

func TestRooms_NamedLikeAUserAreNotTheUsers(t *testing.T) {
	url := serve(t, "")
	ada := enter(t, url, "ada", 1)
	eve := enter(t, url, "eve", 2)
	ada.hears(`["online",2]`)
	eve.asks(`["message","user:ada","boo"]`, `{"error":"you are not in that room"}`)
	eve.asks(`["enter","ada"]`, ok)
	eve.asks(`["message","ada","boo"]`, ok)
	ada.asks(`["enter","tea"]`, ok) // and has heard nothing in between
}

func TestConnect_RefusesBadNames(t *testing.T) {
	url := serve(t, "")
	for _, auth := range []string{"", `{}`, `{"name":7}`, `{"name":""}`, `{"name":"a b"}`,
		`{"name":"` + strings.Repeat("a", 33) + `"}`} {
		answer := dial(t, url, auth).read()
		if !strings.HasPrefix(answer, `44{"message":"a name is`) || !strings.HasSuffix(answer, `"data":{"field":"name"}}`) {
			t.Errorf("auth %s was answered %s", auth, answer)
		}
	}
}

func TestNotify_ReachesOneUserOrEverybody(t *testing.T) {
	url := serve(t, "")
	ada := enter(t, url, "ada", 1)
	bob := enter(t, url, "bob", 2)
	ada.hears(`["online",2]`)
	post(t, url, "application/json", `{"user":"ada","text":"shipped"}`, http.StatusNoContent)
	post(t, url, "application/json; charset=utf-8", `{"text":"closing soon"}`, http.StatusNoContent)
	ada.hears(`["notification","shipped"]`, `["notification","closing soon"]`)
	bob.hears(`["notification","closing soon"]`)

	post(t, url, "text/plain", `{"text":"from another site's page"}`, http.StatusUnsupportedMediaType)
	post(t, url, "application/json", `{"text":""}`, http.StatusBadRequest)
	post(t, url, "application/json", `{"text":`, http.StatusBadRequest)
	text, err := json.Marshal(strings.Repeat("a", maxNotification))
	if err != nil {
		t.Fatal(err)
	}
	post(t, url, "application/json", `{"text":`+string(text)+`}`, http.StatusBadRequest)
}

func post(t *testing.T, url, kind, body string, want int) {
	t.Helper()
	resp, err := http.Post(url+"/notify", kind, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != want {
		t.Errorf("POST %.40s was answered %d, want %d", body, resp.StatusCode, want)
	}
}

func TestPage_RefersToWhatIsServed(t *testing.T) {
	client := t.TempDir()
	if err := os.WriteFile(filepath.Join(client, "socket.io.min.js"), []byte("// client"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := serve(t, client)
	page := get(t, url+"/")
	for _, file := range []string{"client/socket.io.min.js", "chat.js"} {
		if !strings.Contains(page, `src="`+file+`"`) {
			t.Errorf("the page does not load %s", file)
		}
		get(t, url+"/"+file)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v", url, resp.Status, err)
	}
	return string(body)
}

func TestRun_EndsWhenToldAndSaysWhatIsWrong(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := run(ctx, "127.0.0.1:0", ""); err != nil {
		t.Errorf("told to end: %v", err)
	}
	if err := run(context.Background(), "127.0.0.1:no-port", ""); err == nil {
		t.Error("an impossible address was taken")
	}
}
