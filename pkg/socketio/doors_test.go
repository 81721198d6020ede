package socketio_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/gorilla/websocket"
)

// doors starts a server with Socket.IO under its usual path, plain WebSockets under /ws and event streams under /sse.
func doors(t testing.TB, cfg socketio.Config) (io *socketio.Server, url string) {
	t.Helper()
	io, err := socketio.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	mux.Handle("/ws", io.WebSocket("/ws"))
	mux.Handle("/ws/", io.WebSocket("/ws/"))
	mux.Handle("/sse", io.EventStream("/sse"))
	mux.Handle("/sse/", io.EventStream("/sse"))
	web := httptest.NewServer(mux)
	t.Cleanup(func() {
		io.Close()
		web.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return io, web.URL
}

// native is a client of a WebSocket without Socket.IO.
type native struct {
	*testing.T
	ws *websocket.Conn
}

const subprotocol = "carillon.v1.json"

// knockNative opens a WebSocket; subprotocols are what it offers.
func knockNative(t *testing.T, url string, subprotocols ...string) native {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: subprotocols}
	ws, response, err := dialer.Dial(strings.Replace(url, "http", "ws", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	t.Cleanup(func() { _ = ws.Close() })
	return native{t, ws}
}

func (n native) send(text string) {
	n.Helper()
	if err := n.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		n.Fatal(err)
	}
}

// reads wants a text message that begins with prefix, and returns it.
func (n native) reads(prefix string) string {
	n.Helper()
	_ = n.ws.SetReadDeadline(time.Now().Add(patience))
	kind, data, err := n.ws.ReadMessage()
	if err != nil || kind != websocket.TextMessage || !strings.HasPrefix(string(data), prefix) {
		n.Fatalf("read %q of kind %d, %v; want %q", data, kind, err, prefix)
	}
	return string(data)
}

// ends wants the connection to close with a code.
func (n native) ends(code int) {
	n.Helper()
	_ = n.ws.SetReadDeadline(time.Now().Add(patience))
	_, data, err := n.ws.ReadMessage()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != code {
		n.Fatalf("read %q, %v; want the code %d", data, err, code)
	}
}

// chatRules makes a namespace a chat.
func chatRules(n *socketio.Namespace) {
	n.OnConnect(func(s *socketio.Socket) {
		s.On("join", func(room string, ack socketio.Ack) {
			_ = s.Join(room)
			_ = ack.Send(map[string]bool{"ok": true})
		})
		s.On("message", func(e socketio.Event) {
			args := socketio.Args{JSON: append([]byte(`["message",`), e.Args.JSON[1:]...), Attachments: e.Args.Attachments}
			_ = n.EmitArgs(args)
		})
		s.On("leave", func() { s.Disconnect() })
		s.On("crash", func() { panic("as ordered") })
	})
}

func TestWebSocket_PlainAndSocketIOClientsChat(t *testing.T) {
	io, url := doors(t, socketio.Config{})
	chatRules(io.Of("/"))
	official, _ := join(t, url)
	plain, other := knockNative(t, url+"/ws"), knockNative(t, url+"/ws/")
	object := knockNative(t, url+"/ws", "other", subprotocol)
	object.reads(`{"hello":{"sid":"`)
	eventually(t, "all are connected", func() bool { return len(io.Of("/").LocalSockets()) == 4 })

	plain.send("héllo \"you\"")
	const event = `["message","héllo \"you\""]`
	official.expect("42" + event)
	plain.reads("héllo \"you\"")
	other.reads("héllo \"you\"")
	object.reads(`{"event":"message","args":["héllo \"you\""]}`)

	official.send(`42["message","from official",1]`)
	official.expect(`42["message","from official",1]`)
	plain.reads(`["message","from official",1]`)

	if err := other.ws.WriteMessage(websocket.BinaryMessage, []byte{0, 0xff}); err != nil {
		t.Fatal(err)
	}
	if kind, data, err := plain.ws.ReadMessage(); err != nil || kind != websocket.BinaryMessage || string(data) != "\x00\xff" {
		t.Errorf("%d %q, %v", kind, data, err)
	}
	object.reads(`{"event":"message","args":["from official",1]}`)
	object.reads(`{"event":"message","args":[{"$bytes":"AP8="}]}`)
}

func TestWebSocket_AcknowledgementsBothWays(t *testing.T) {
	io, url := doors(t, socketio.Config{})
	chatRules(io.Of("/chat"))
	c := knockNative(t, url+"/ws/chat", subprotocol)
	if hello := c.reads(`{"hello":{"sid":"`); !strings.HasSuffix(hello, `","namespace":"/chat"}}`) {
		t.Errorf("hello %s", hello)
	}
	c.send(`{"event":"join","args":["chat:1"],"id":7}`)
	c.reads(`{"ack":7,"args":[{"ok":true}]}`)

	answers := make(chan socketio.Args, 1)
	go func() {
		list, err := io.Of("/chat").To("chat:1").EmitWithAck(t.Context(), "question", 1)
		if err != nil || len(list) != 1 {
			t.Errorf("%v, %v", list, err)
			list = make([]socketio.Args, 1)
		}
		answers <- list[0]
	}()
	if asked := c.reads(`{"event":"question","args":[1],"id":`); asked != `{"event":"question","args":[1],"id":0}` {
		t.Errorf("asked %s", asked)
	}
	c.send(`{"ack":0,"args":["yes",{"$bytes":"AQ=="}]}`)
	if got := <-answers; string(got.JSON) != `["yes",{"_placeholder":true,"num":0}]` || string(got.Attachments[0]) != "\x01" {
		t.Errorf("answered %s %q", got.JSON, got.Attachments)
	}
}

// TestWebSocket_ClientsThatCannotAnswerAreNotWaitedFor: they are sent the event, and the others' answers are complete without.
func TestWebSocket_ClientsThatCannotAnswerAreNotWaitedFor(t *testing.T) {
	io, url := doors(t, socketio.Config{})
	connected := make(chan *socketio.Socket, 1)
	io.Of("/").OnConnect(func(s *socketio.Socket) { connected <- s })
	c := knockNative(t, url+"/ws")
	s := <-connected
	list, err := io.Of("/").EmitWithAck(t.Context(), "question")
	if err != nil || len(list) > 0 {
		t.Errorf("%v, %v", list, err)
	}
	c.reads(`["question"]`)
	if _, err := s.EmitWithAck(t.Context(), "question"); !errors.Is(err, socketio.ErrParser) {
		t.Errorf("one client: %v", err)
	}
}

func TestWebSocket_WrongMessagesEndTheConnectionWithAWord(t *testing.T) {
	io, url := doors(t, socketio.Config{Engine: engine.Config{MaxPayload: 100_000}})
	chatRules(io.Of("/"))
	const hello = `{"hello":{}}`
	for name, c := range map[string]struct {
		protocol []string
		send     []string
		binary   bool
		error    string // its beginning; empty: none
		code     int
	}{
		"not JSON":            {[]string{subprotocol}, []string{"hello"}, false, `{"error":{"code":"invalid",`, 4400},
		"a list":              {[]string{subprotocol}, []string{"[]"}, false, `{"error":{"code":"invalid",`, 4400},
		"an unknown member":   {[]string{subprotocol}, []string{`{"evnt":"x"}`}, false, `{"error":{"code":"invalid",`, 4400},
		"a reserved event":    {[]string{subprotocol}, []string{`{"event":"disconnect"}`}, false, `{"error":{"code":"invalid",`, 4400},
		"binary":              {[]string{subprotocol}, []string{"x"}, true, `{"error":{"code":"invalid",`, 4400},
		"hello twice":         {[]string{subprotocol}, []string{hello, hello}, false, `{"error":{"code":"invalid","message":"hello comes once`, 4400},
		"hello late":          {[]string{subprotocol}, []string{`{"event":"x"}`, hello}, false, `{"error":{"code":"invalid","message":"hello comes once`, 4400},
		"a hello of 20 kB":    {[]string{subprotocol}, []string{`{"hello":{"token":"` + strings.Repeat("x", 20_000) + `"}}`}, false, `{"error":{"code":"too_large",`, 4413},
		"too large":           {[]string{subprotocol}, []string{`{"event":"` + strings.Repeat("x", 100_000) + `"}`}, false, `{"error":{"code":"too_large",`, 4413},
		"too large and plain": {nil, []string{strings.Repeat("x", 100_001)}, false, "", 4413},
		"UTF-8":               {[]string{subprotocol}, []string{"{\"event\":\"\xff\"}"}, false, `{"error":{"code":"invalid",`, 1007},
		"UTF-8 and plain":     {nil, []string{"\xff"}, false, "", 1007},
	} {
		t.Run(name, func(t *testing.T) {
			n := knockNative(t, url+"/ws", c.protocol...)
			if c.protocol != nil {
				n.reads(`{"hello":`)
			}
			kind := websocket.TextMessage
			if c.binary {
				kind = websocket.BinaryMessage
			}
			for _, text := range c.send {
				if err := n.ws.WriteMessage(kind, []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			if c.error != "" {
				n.reads(c.error)
			}
			n.ends(c.code)
		})
	}
}

// TestWebSocket_FramesThatRFC6455DoesNotHave: a client must mask, and opcodes 3 to 7 mean nothing.
func TestWebSocket_FramesThatRFC6455DoesNotHave(t *testing.T) {
	_, url := doors(t, socketio.Config{})
	for name, frame := range map[string][]byte{
		"not masked": {0x81, 1, 'x'}, "opcode 3": {0x83, 0x80, 0, 0, 0, 0}, "reserved bit": {0x91, 0x80, 0, 0, 0, 0},
		"a continuation of nothing": {0x80, 0x80, 0, 0, 0, 0}, "a long ping": append([]byte{0x89, 0xfe, 0, 126, 0, 0, 0, 0}, make([]byte, 126)...),
	} {
		t.Run(name, func(t *testing.T) {
			n := knockNative(t, url+"/ws", subprotocol)
			n.reads(`{"hello":`)
			if _, err := n.ws.NetConn().Write(frame); err != nil {
				t.Fatal(err)
			}
			n.reads(`{"error":{"code":"invalid"`)
			n.ends(1002)
		})
	}
}

func TestWebSocket_EndlessFragmentsEndTheConnection(t *testing.T) {
	_, url := doors(t, socketio.Config{Engine: engine.Config{MaxPayload: 100_000}})
	n := knockNative(t, url+"/ws")
	w, err := n.ws.NextWriter(websocket.TextMessage)
	if err != nil {
		t.Fatal(err)
	}
	piece := []byte(strings.Repeat("x", 5000)) // over gorilla's buffer, so each is a fragment
	for range 1000 {
		if _, err := w.Write(piece); err != nil {
			break // the server has hung up
		}
	}
	n.ends(4413)
}

func TestWebSocket_TheServersEndsHaveCodes(t *testing.T) {
	t.Parallel()
	io, url := doors(t, socketio.Config{})
	chatRules(io.Of("/"))
	refusing := io.Of("/closed")
	refusing.Use(func(context.Context, *socketio.Socket) error {
		return &socketio.ConnectError{Message: "no way", Data: map[string]string{"code": "denied"}}
	})
	tokens := io.Of("/tokens")
	tokens.Use(func(context.Context, *socketio.Socket) error {
		return &socketio.ConnectError{Message: "no token", Data: map[string]string{"code": "token_missing"}}
	})
	busy := io.Of("/busy")
	busy.Use(func(context.Context, *socketio.Socket) error { return socketio.ErrClose })
	expiring := io.Of("/expiring")
	expiring.OnConnect(func(s *socketio.Socket) { s.DisconnectWith("token expired") })

	for path, c := range map[string]struct {
		error string
		code  int
	}{
		"/closed":  {`{"error":{"code":"denied","message":"no way"}}`, 4403},
		"/unknown": {`{"error":{"code":"invalid_namespace","message":"Invalid namespace"}}`, 4403},
		"/a,b":     {`{"error":{"code":"invalid_namespace"`, 4403},
		"/tokens":  {`{"error":{"code":"token_missing","message":"no token"}}`, 4401},
		"/busy":    {`{"error":{"code":"overloaded"`, 1013},
	} {
		n := knockNative(t, url+"/ws"+path, subprotocol)
		n.reads(c.error)
		n.ends(c.code)
		knockNative(t, url+"/ws"+path).ends(c.code)
	}
	n := knockNative(t, url+"/ws/expiring", subprotocol)
	n.reads(`{"hello":`)
	n.reads(`{"error":{"code":"token_expired"`)
	n.ends(4401)

	n = knockNative(t, url+"/ws", subprotocol)
	n.reads(`{"hello":`)
	n.send(`{"event":"leave"}`)
	n.reads(`{"error":{"code":"disconnected"`)
	n.ends(4403)

	n = knockNative(t, url+"/ws", subprotocol)
	n.reads(`{"hello":`)
	if err := io.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.reads(`{"error":{"code":"going_away"`)
	n.ends(1001)
}

// TestWebSocket_HelloIsWaitedForWhereATokenIs: with required the socket is refused without one, else connected a little later.
func TestWebSocket_HelloIsWaitedForWhereATokenIs(t *testing.T) {
	required := false
	cfg := socketio.Config{
		ConnectTimeout: 300 * time.Millisecond,
		Hello: func(*engine.Session, string) (time.Duration, bool) {
			if required {
				return time.Hour, true
			}
			return 20 * time.Millisecond, false
		},
	}
	io, url := doors(t, cfg)
	connected := make(chan string, 10)
	io.Of("/").OnConnect(func(s *socketio.Socket) { connected <- string(s.Auth().JSON) })

	knockNative(t, url+"/ws") // may not say hello, and is not waited for
	if auth := <-connected; auth != "" {
		t.Errorf("plain: auth %s", auth)
	}
	silent := knockNative(t, url+"/ws", subprotocol)
	silent.reads(`{"hello":`)
	if auth := <-connected; auth != "" {
		t.Errorf("silent: auth %s", auth)
	}

	required = true
	n := knockNative(t, url+"/ws", subprotocol)
	n.send(`{"hello":{"token":"t"}}`)
	n.reads(`{"hello":{"sid":"`)
	if auth := <-connected; auth != `{"token":"t"}` {
		t.Errorf("auth %s", auth)
	}
	n = knockNative(t, url+"/ws", subprotocol)
	n.send(`{"event":"message"}`)
	n.reads(`{"error":{"code":"token_missing"`)
	n.ends(4401)
	n = knockNative(t, url+"/ws", subprotocol)
	n.reads(`{"error":{"code":"no_hello"`)
	n.ends(4408)
}

// TestWebSocket_ASlowReaderIsCutOff: its outbox is bounded like any client's.
func TestWebSocket_ASlowReaderIsCutOff(t *testing.T) {
	for _, door := range []string{"/ws", "/sse"} {
		t.Run(door, func(t *testing.T) {
			io, url := doors(t, socketio.Config{Engine: engine.Config{Outbox: 10_000, OutboxHard: 20_000}})
			connected, reasons := make(chan *socketio.Socket, 1), make(chan socketio.Reason, 1)
			io.Of("/").OnConnect(func(s *socketio.Socket) {
				s.OnDisconnect(func(reason socketio.Reason) { reasons <- reason })
				connected <- s
			})
			if door == "/ws" {
				knockNative(t, url+"/ws")
			} else {
				openStream(t, url+"/sse", nil)
			}
			s := <-connected
			for s.Connected() {
				_ = s.Emit("news", strings.Repeat("x", 5000))
			}
			if reason := <-reasons; reason != socketio.SlowConsumer {
				t.Errorf("left for %q", reason)
			}
		})
	}
}

func TestDoors_OriginsAndPaths(t *testing.T) {
	_, url := doors(t, socketio.Config{Origins: []string{"https://listed.example"}})
	for path, status := range map[string]int{"/ws": http.StatusForbidden, "/sse": http.StatusForbidden} {
		e := openStream(t, url+path, http.Header{"Origin": {"https://elsewhere.example"}})
		if e.response.StatusCode != status {
			t.Errorf("%s: %s", path, e.response.Status)
		}
	}
	e := openStream(t, url+"/sse", http.Header{"Origin": {"https://listed.example"}})
	if got := e.response.Header.Get("Access-Control-Allow-Origin"); e.response.StatusCode != http.StatusOK || got != "https://listed.example" {
		t.Errorf("listed: %s, allowed %q", e.response.Status, got)
	}
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer io.Close()
	w := httptest.NewRecorder()
	io.WebSocket("/ws").ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/wsx", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("another path: %d", w.Code)
	}
}
