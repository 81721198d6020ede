package socketio_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/test/await"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = await.Limit

// serve starts a server on loopback, and runs its adapter.
func serve(t testing.TB, cfg socketio.Config) (*socketio.Server, string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	io, url := listen(t, cfg)
	go func() { ended <- io.Run(ctx) }()
	return io, url
}

// listen starts a server whose Run the caller calls.
func listen(t testing.TB, cfg socketio.Config) (*socketio.Server, string) {
	t.Helper()
	io, err := socketio.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(io)
	t.Cleanup(func() {
		io.Close()
		web.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return io, web.URL
}

// peer is a client at the level of Socket.IO's bytes, over one WebSocket.
type peer struct {
	t  testing.TB
	ws *websocket.Conn
}

// dial opens a session without joining a namespace. The URL may have a path and a query already.
func dial(t testing.TB, url string) *peer {
	t.Helper()
	if strings.Contains(url, "?") {
		url += "&"
	} else {
		url += "/socket.io/?"
	}
	ws, resp, err := websocket.DefaultDialer.Dial(strings.Replace(url, "http", "ws", 1)+"EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	t.Cleanup(func() { _ = ws.Close() })
	p := &peer{t: t, ws: ws}
	if got := p.read(); !strings.HasPrefix(got, "0{") {
		t.Fatalf("first packet is %q", got)
	}
	return p
}

// join opens a session and joins namespaces; the id is that of the last one.
func join(t testing.TB, url string, namespaces ...string) (p *peer, id string) {
	t.Helper()
	p = dial(t, url)
	if len(namespaces) == 0 {
		namespaces = []string{"/"}
	}
	for _, nsp := range namespaces {
		id = p.connect(nsp)
	}
	return p, id
}

// prefix is what a packet of the namespace has behind its type.
func prefix(nsp string) string {
	if nsp == "/" {
		return ""
	}
	return nsp + ","
}

// connect joins one namespace and returns the socket's id.
func (p *peer) connect(nsp string) string {
	p.t.Helper()
	p.send("40" + prefix(nsp))
	var answer struct{ SID string }
	got := p.read()
	text, ok := strings.CutPrefix(got, "40"+prefix(nsp))
	if !ok || json.Unmarshal([]byte(text), &answer) != nil || len(answer.SID) != 20 {
		p.t.Fatalf("CONNECT to %s was answered %q", nsp, got)
	}
	return answer.SID
}

// send sends messages: text, and binary where one begins with "b:".
func (p *peer) send(messages ...string) {
	p.t.Helper()
	for _, m := range messages {
		kind, data := websocket.TextMessage, m
		if binary, ok := strings.CutPrefix(m, "b:"); ok {
			kind, data = websocket.BinaryMessage, binary
		}
		if err := p.ws.WriteMessage(kind, []byte(data)); err != nil {
			p.t.Fatalf("send %q: %v", m, err)
		}
	}
}

// read returns the next message but pings, written as send takes it; "closed" at the end.
func (p *peer) read() string {
	p.t.Helper()
	for {
		_ = p.ws.SetReadDeadline(time.Now().Add(patience))
		kind, data, err := p.ws.ReadMessage()
		switch {
		case websocket.IsCloseError(err, websocket.CloseNoStatusReceived, websocket.CloseGoingAway, websocket.CloseNormalClosure):
			return "closed"
		case err != nil:
			p.t.Fatalf("read: %v", err)
		case kind == websocket.BinaryMessage:
			return "b:" + string(data)
		case string(data) == "2":
			_ = p.ws.WriteMessage(websocket.TextMessage, []byte("3"))
		default:
			return string(data)
		}
	}
}

// expect reads the given messages, in this order and none between them.
func (p *peer) expect(messages ...string) {
	p.t.Helper()
	for _, want := range messages {
		if got := p.read(); got != want {
			p.t.Fatalf("received %.200q, want %.200q", got, want)
		}
	}
}

// hangup ends the connection as a browser that is closed does.
func (p *peer) hangup() { _ = p.ws.Close() }

// receive takes what a handler reported.
func receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	return await.Value(t, "value", from)
}

// nothing checks that a channel is empty now.
func nothing[T any](t testing.TB, from <-chan T) {
	t.Helper()
	select {
	case v := <-from:
		t.Fatalf("unexpected: %v", v)
	default:
	}
}

// sockets makes a namespace hand over its sockets as they connect.
func sockets(n *socketio.Namespace) <-chan *socketio.Socket {
	ch := make(chan *socketio.Socket, 1024)
	n.OnConnect(func(s *socketio.Socket) { ch <- s })
	return ch
}

// echo makes a namespace's sockets answer "echo" with their arguments: what a client reads then was sent before.
func echo(n *socketio.Namespace) {
	n.OnConnect(func(s *socketio.Socket) {
		s.OnAny(func(e socketio.Event) {
			if e.Name == "echo" {
				_ = e.Ack.SendArgs(e.Args)
			}
		})
	})
}

// sync waits until the server has handled what the client sent and the client has received nothing else.
func (p *peer) sync() {
	p.t.Helper()
	p.send(`4299["echo","sync"]`)
	p.expect(`4399["sync"]`)
}

// settled is done by an emit's or a join's callback.
func settled() (func(error), <-chan error) {
	ch := make(chan error, 1)
	return func(err error) { ch <- err }, ch
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func itoa(n int) string { return strconv.Itoa(n) }
