package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
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

// user is a client of the chat.
type user struct {
	*socketiotest.Client
	t *testing.T
}

// enter connects as name, and hears that count are online then.
func enter(t *testing.T, url, name string, count int) user {
	t.Helper()
	u := user{socketiotest.Dial(t, url, socketiotest.Options{Auth: map[string]string{"name": name}}), t}
	u.Expect("online", count)
	return u
}

// asks sends an event and reads its acknowledgement.
func (u user) asks(answer, event string, args ...any) {
	u.t.Helper()
	if got := u.EmitWithAck(event, args...); string(got.JSON) != "["+answer+"]" {
		u.t.Fatalf("%s was answered %s, want %s", event, got.JSON, answer)
	}
}

const ok = `{"ok":true}`

func TestRooms_CarryMessagesToTheOthersInThem(t *testing.T) {
	url := serve(t, "")
	ada := enter(t, url, "ada", 1)
	bob := enter(t, url, "bob", 2)
	ada.Expect("online", 2)

	ada.asks(ok, "enter", "tea")
	bob.asks(`{"error":"you are not in that room"}`, "message", "tea", "hello")
	bob.asks(ok, "enter", "tea")
	ada.Expect("entered", "tea", "bob")
	bob.asks(ok, "message", "tea", "hello")
	ada.Expect("message", "tea", "bob", "hello")
	ada.asks(ok, "leave", "tea")
	bob.Expect("left", "tea", "ada")
	bob.asks(ok, "message", "tea", "anyone?")
	ada.ExpectNone()
	ada.asks(ok, "enter", "tea")
	bob.Expect("entered", "tea", "ada")

	bob.Close()
	ada.Expect("left", "tea", "bob")
	ada.Expect("online", 1)
}

func TestPrivate_ReachesEveryDeviceOfBoth(t *testing.T) {
	url := serve(t, "")
	desk := enter(t, url, "ada", 1)
	phone := enter(t, url, "ada", 2)
	bob := enter(t, url, "bob", 3)
	desk.Expect("online", 2)
	desk.Expect("online", 3)
	phone.Expect("online", 3)

	desk.asks(ok, "private", "bob", "psst")
	bob.Expect("private", "ada", "bob", "psst")
	phone.Expect("private", "ada", "bob", "psst")
	bob.asks(ok, "private", "ada", "yes?")
	desk.Expect("private", "bob", "ada", "yes?")
	phone.Expect("private", "bob", "ada", "yes?")
	bob.asks(`{"error":"eve is not here"}`, "private", "eve", "hello")
}

func TestRooms_NamedLikeAUserAreNotTheUsers(t *testing.T) {
	url := serve(t, "")
	ada := enter(t, url, "ada", 1)
	eve := enter(t, url, "eve", 2)
	ada.Expect("online", 2)
	eve.asks(`{"error":"you are not in that room"}`, "message", "user:ada", "boo")
	eve.asks(ok, "enter", "ada")
	eve.asks(ok, "message", "ada", "boo")
	ada.ExpectNone()
}

func TestConnect_RefusesBadNames(t *testing.T) {
	url := serve(t, "")
	type names map[string]any
	for _, auth := range []any{
		nil, names{}, names{"name": 7}, names{"name": ""}, names{"name": "a b"}, names{"name": strings.Repeat("a", 33)},
	} {
		r := socketiotest.DialRefused(t, url, socketiotest.Options{Auth: auth})
		if !strings.HasPrefix(r.Message, "a name is") || string(r.Data) != `{"field":"name"}` {
			t.Errorf("auth %v was answered %+v", auth, r)
		}
	}
}

func TestNotify_ReachesOneUserOrEverybody(t *testing.T) {
	url := serve(t, "")
	ada := enter(t, url, "ada", 1)
	bob := enter(t, url, "bob", 2)
	ada.Expect("online", 2)
	post(t, url, "application/json", `{"user":"ada","text":"shipped"}`, http.StatusNoContent)
	post(t, url, "application/json; charset=utf-8", `{"text":"closing soon"}`, http.StatusNoContent)
	ada.Expect("notification", "shipped")
	ada.Expect("notification", "closing soon")
	bob.Expect("notification", "closing soon")

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
