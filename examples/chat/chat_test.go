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
	"testing/synctest"
	"time"

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

// client is a client of the chat.
type client struct {
	*socketiotest.Client
	t *testing.T
}

// enter connects as name, and hears that count are online then.
func enter(t *testing.T, url, name string, count int) client {
	t.Helper()
	u := client{socketiotest.Dial(t, url, socketiotest.Options{Auth: map[string]string{"token": login(t, url, name).Value}}), t}
	u.Expect("online", count)
	return u
}

// login returns the cookie that a page gets.
func login(t *testing.T, url, name string) *http.Cookie {
	t.Helper()
	resp := post(t, url+"/login", "text/plain", `{"name":"`+name+`"}`, http.StatusOK)
	for _, cookie := range resp.Cookies() {
		if cookie.HttpOnly && cookie.SameSite == http.SameSiteStrictMode {
			return cookie
		}
	}
	t.Fatal("no cookie, or one that other sites can use")
	return nil
}

// hears reads a private message and acknowledges it, beside what the sender does.
func (u client) hears(from, to, text string) (heard <-chan struct{}) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		e := u.Expect("private", from, to, text)
		e.Ack()
	}()
	return done
}

// asks sends an event and reads its acknowledgement.
func (u client) asks(answer, event string, args ...any) {
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

	heard := bob.hears("ada", "bob", "psst")
	desk.asks(ok, "private", "bob", "psst")
	<-heard
	phone.Expect("private", "ada", "bob", "psst")
	atDesk, atPhone := desk.hears("bob", "ada", "yes?"), phone.hears("bob", "ada", "yes?")
	bob.asks(ok, "private", "ada", "yes?")
	<-atDesk
	<-atPhone
	bob.asks(`{"error":"eve is not here"}`, "private", "eve", "hello")
	desk.ExpectNone()
}

func TestTyping_IsForTheRoom(t *testing.T) {
	url := serve(t, "")
	ada := enter(t, url, "ada", 1)
	bob := enter(t, url, "bob", 2)
	ada.Expect("online", 2)
	ada.asks(ok, "enter", "tea")
	bob.Emit("typing", "tea") // not in it
	bob.asks(ok, "enter", "tea")
	ada.Expect("entered", "tea", "bob")
	bob.Emit("typing", "tea")
	ada.Expect("typing", "tea", "bob")
}

func TestClock_TicksUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := newChat()
		if err != nil {
			t.Fatal(err)
		}
		ada := client{socketiotest.Connect(t, c.io, socketiotest.Options{Auth: map[string]string{"token": c.tokens.sign("ada")}}), t}
		ada.Expect("online", 1)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c.clock(ctx, time.Second)
		}()
		begun := time.Now().Unix()
		ada.Expect("clock", begun+1)
		ada.Expect("clock", begun+2)
		cancel()
		<-ended
		c.io.Close()
	})
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

func TestConnect_NeedsATokenInAuthOrInTheCookie(t *testing.T) {
	url := serve(t, "")
	cookie := login(t, url, "ada")
	header := func(value string) http.Header { return http.Header{"Cookie": {cookieName + "=" + value}} }
	for _, o := range []socketiotest.Options{
		{}, {Auth: map[string]any{"token": 7}}, {Auth: map[string]any{"token": "eve"}},
		{Auth: map[string]any{"token": strings.Replace(cookie.Value, "ada", "eve", 1)}},
		{Header: header("eve")}, {Header: header(strings.Replace(cookie.Value, "ada", "eve", 1))},
		{Header: header(cookie.Value), Auth: map[string]any{"token": "eve"}},
	} {
		if r := socketiotest.DialRefused(t, url, o); r.Message != "log in first" || string(r.Data) != `{"code":"token"}` {
			t.Errorf("%+v was answered %+v", o, r)
		}
	}
	ada := socketiotest.Dial(t, url, socketiotest.Options{Header: header(cookie.Value)})
	ada.Expect("online", 1)
	bob := enter(t, url, "bob", 2)
	ada.Expect("online", 2)
	heard := client{ada, t}.hears("bob", "ada", "it is you")
	bob.asks(ok, "private", "ada", "it is you")
	<-heard
}

func TestLogin_RefusesBadNames(t *testing.T) {
	url := serve(t, "")
	for _, body := range []string{``, `{}`, `{"name":7}`, `{"name":""}`, `{"name":"a b"}`, `{"name":"a~b"}`, `{"name":"` + strings.Repeat("a", 33) + `"}`} {
		post(t, url+"/login", "text/plain", body, http.StatusBadRequest)
	}
}

func TestNotify_ReachesOneUserOrEverybody(t *testing.T) {
	url := serve(t, "")
	ada := enter(t, url, "ada", 1)
	bob := enter(t, url, "bob", 2)
	ada.Expect("online", 2)
	post(t, url+"/notify", "application/json", `{"user":"ada","text":"shipped"}`, http.StatusNoContent)
	post(t, url+"/notify", "application/json; charset=utf-8", `{"text":"closing soon"}`, http.StatusNoContent)
	ada.Expect("notification", "shipped")
	ada.Expect("notification", "closing soon")
	bob.Expect("notification", "closing soon")

	post(t, url+"/notify", "text/plain", `{"text":"from another site's page"}`, http.StatusUnsupportedMediaType)
	post(t, url+"/notify", "application/json", `{"text":""}`, http.StatusBadRequest)
	post(t, url+"/notify", "application/json", `{"text":`, http.StatusBadRequest)
	text, err := json.Marshal(strings.Repeat("a", maxBody))
	if err != nil {
		t.Fatal(err)
	}
	post(t, url+"/notify", "application/json", `{"text":`+string(text)+`}`, http.StatusBadRequest)
}

func post(t *testing.T, url, kind, body string, want int) *http.Response {
	t.Helper()
	resp, err := http.Post(url, kind, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != want {
		t.Errorf("POST %.40s was answered %d, want %d", body, resp.StatusCode, want)
	}
	return resp
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
