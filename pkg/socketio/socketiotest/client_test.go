package socketiotest_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
	"github.com/carillon-io/carillon/test/await"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, cfg socketio.Config) *socketio.Server {
	t.Helper()
	io, err := socketio.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(io.Close)
	return io
}

// rooms is a server whose clients join rooms, shout into them, and send blobs back and forth.
func rooms(t *testing.T) *socketio.Server {
	io := serve(t, socketio.Config{})
	for _, nsp := range []string{"/", "/chat"} {
		io.Of(nsp).OnConnect(func(s *socketio.Socket) {
			s.On("join", func(room string, ack socketio.Ack) {
				_ = s.Join(room)
				_ = s.Emit("joined", room)
				_ = ack.Send(map[string]any{"ok": true, "rooms": 1})
			})
			s.On("shout", func(room string, text string) { _ = s.To(room).Emit("shout", s.ID(), text) })
			s.On("blob", func(b []byte, ack socketio.Ack) { _ = ack.Send(append(b, '!')) })
			s.On("bye", func() { s.Disconnect() })
			s.On("cut", func() { s.CloseConnection() })
			s.On("ask", func(ack socketio.Ack) {
				ctx, cancel := context.WithTimeout(context.Background(), await.Limit)
				defer cancel()
				got, err := s.EmitWithAck(ctx, "question", "name?")
				_ = ack.Send(fmt.Sprintf("%s %v", got.JSON, err))
			})
		})
	}
	return io
}

func TestClient_HearsWhatItIsSentInOrder(t *testing.T) {
	web := httptest.NewServer(rooms(t))
	defer web.Close()
	for name, connect := range map[string]func(socketiotest.Options) *socketiotest.Client{
		"in memory": func(o socketiotest.Options) *socketiotest.Client {
			return socketiotest.Connect(t, web.Config.Handler, o)
		},
		"over the net": func(o socketiotest.Options) *socketiotest.Client { return socketiotest.Dial(t, web.URL, o) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, nsp := range []string{"", "/chat"} {
				ada := connect(socketiotest.Options{Namespace: nsp})
				bob := connect(socketiotest.Options{Namespace: nsp})
				room := "tea" + nsp + name
				if got := ada.EmitWithAck("join", room); string(got.JSON) != `[{"ok":true,"rooms":1}]` {
					t.Errorf("answered %s", got.JSON)
				}
				ada.Expect("joined", room) // came before the answer, and was kept
				bob.Emit("shout", room, "one")
				bob.Emit("shout", room, "two")
				ada.Expect("shout", bob.ID(), "one")
				if e := ada.Receive(); e.Name != "shout" || e.Args.Len() != 2 {
					t.Errorf("received %s", e)
				}
				bob.ExpectNone()
				ada.ExpectNone()
				ada.Disconnect()
				bob.Close()
			}
		})
	}
}

func TestClient_BinaryDataAndAnswersToTheServer(t *testing.T) {
	c := socketiotest.Connect(t, rooms(t), socketiotest.Options{})
	var blob []byte
	if err := c.EmitWithAck("blob", []byte{1, 2}).Unmarshal(0, &blob); err != nil || string(blob) != "\x01\x02!" {
		t.Errorf("%q %v", blob, err)
	}
	c.Emit("ask")
	c.Expect("question", "name?").Ack("ada", 7)
	c.Emit("join", "x")
	c.Await("joined")
}

func TestRefused_TellsHow(t *testing.T) {
	io := serve(t, socketio.Config{})
	io.Of("/").Use(func(_ context.Context, s *socketio.Socket) error {
		if string(s.Auth().JSON) == `{"token":"good"}` && s.Handshake().Query.Get("v") == "1" && s.Handshake().Headers.Get("X-A") == "b" {
			return nil
		}
		return &socketio.ConnectError{Message: "no", Data: 7}
	})
	web := httptest.NewServer(io)
	defer web.Close()
	for _, r := range []socketiotest.Refusal{
		socketiotest.Refused(t, io, socketiotest.Options{}),
		socketiotest.DialRefused(t, web.URL, socketiotest.Options{}),
	} {
		if r.Message != "no" || string(r.Data) != "7" {
			t.Errorf("%+v", r)
		}
	}
	io.Of("/closed").Use(func(context.Context, *socketio.Socket) error { return socketio.ErrClose })
	if r := socketiotest.Refused(t, io, socketiotest.Options{Namespace: "/closed"}); r.Message != "" || r.Data != nil {
		t.Errorf("%+v", r)
	}
	if r := socketiotest.Refused(t, io, socketiotest.Options{Namespace: "/unknown"}); r.Message != "Invalid namespace" || r.Data != nil {
		t.Errorf("%+v", r)
	}
	socketiotest.Connect(t, io, socketiotest.Options{
		Auth: map[string]string{"token": "good"}, Query: map[string][]string{"v": {"1"}}, Header: http.Header{"X-A": {"b"}},
	})
}

func TestClient_EndsAndTheServerKnowsWhy(t *testing.T) {
	io := rooms(t)
	reasons := make(chan socketio.Reason, 1)
	io.Of("/").OnConnect(func(s *socketio.Socket) { s.OnDisconnect(func(reason socketio.Reason) { reasons <- reason }) })
	for _, tt := range []struct {
		end    func(c *socketiotest.Client)
		server socketio.Reason
		client string
	}{
		{func(c *socketiotest.Client) { c.Disconnect() }, "client namespace disconnect", ""},
		{func(c *socketiotest.Client) { c.Close() }, "transport close", ""},
		{func(c *socketiotest.Client) { c.Emit("bye") }, "server namespace disconnect", "io server disconnect"},
		{func(c *socketiotest.Client) { c.Emit("cut") }, "server namespace disconnect", "io server disconnect"},
		{func(*socketiotest.Client) { io.Engine().Close() }, "server shutting down", "transport close"},
	} {
		c := socketiotest.Connect(t, io, socketiotest.Options{})
		tt.end(c)
		if got := <-reasons; got != tt.server {
			t.Errorf("the server heard %q, want %q", got, tt.server)
		}
		if tt.client != "" {
			if got := c.Disconnected(); got != tt.client {
				t.Errorf("the client heard %q, want %q", got, tt.client)
			}
		}
	}
}

// In a bubble two minutes of heartbeats take no time.
func TestConnect_InABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io := serve(t, socketio.Config{Engine: engine.Config{PingInterval: time.Second, PingTimeout: time.Second}})
		c := socketiotest.Connect(t, io, socketiotest.Options{})
		time.Sleep(2 * time.Minute)
		c.ExpectNone()
		if n := io.Of("/").Sockets(); n != 1 {
			t.Errorf("%d sockets", n)
		}
		began := time.Now()
		patient := socketiotest.Options{Patience: time.Minute}
		got := failure(t, func(t testing.TB) { socketiotest.Connect(t, io, patient).Receive() })
		if waited := time.Since(began); got != "socketiotest: nothing came for 1m0s" || waited != time.Minute {
			t.Errorf("failed with %q after %v", got, waited)
		}
	})
}

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Fatalf(format string, args ...any) { r.fatal(fmt.Sprintf(format, args...)) }
func (r *recorder) Fatal(args ...any)                 { r.fatal(fmt.Sprint(args...)) }

type failed struct{}

func (r *recorder) fatal(text string) {
	r.failure = text
	panic(failed{})
}

// failure is how use fails its test; empty: it does not.
func failure(t testing.TB, use func(testing.TB)) (text string) {
	r := &recorder{TB: t}
	defer func() {
		if v := recover(); v != nil && v != (failed{}) {
			panic(v)
		}
		text = r.failure
	}()
	use(r)
	return ""
}

func TestClient_FailsTheTest(t *testing.T) {
	io := rooms(t)
	io.Of("/closed").Use(func(context.Context, *socketio.Socket) error { return socketio.ErrClose })
	io.Of("/no").Use(func(context.Context, *socketio.Socket) error { return &socketio.ConnectError{Message: "no"} })
	with := func(use func(c *socketiotest.Client)) func(testing.TB) {
		return func(t testing.TB) { use(socketiotest.Connect(t, io, socketiotest.Options{})) }
	}
	for want, use := range map[string]func(testing.TB){
		`received "joined" ["x"], want "joined" ["y"]`: with(func(c *socketiotest.Client) {
			c.Emit("join", "x")
			c.Expect("joined", "y")
		}),
		`received "joined" ["x"], want "left"`: with(func(c *socketiotest.Client) {
			c.Emit("join", "x")
			c.Expect("left", "x")
		}),
		`received "joined" ["x"], want nothing`: with(func(c *socketiotest.Client) {
			c.Emit("join", "x")
			c.ExpectNone()
		}),
		`ended before an event came`: with(func(c *socketiotest.Client) {
			c.Emit("cut")
			c.Await("never")
		}),
		`before "join" was acknowledged`: with(func(c *socketiotest.Client) {
			c.Emit("cut")
			c.Disconnected()
			c.EmitWithAck("join", "x")
		}),
		`waits for no acknowledgement of "joined"`: with(func(c *socketiotest.Client) {
			c.Emit("join", "x")
			c.Receive().Ack()
		}),
		`encode arguments`: with(func(c *socketiotest.Client) { c.Emit("join", make(chan int)) }),
		`refused by /no: {"message":"no"}`: func(t testing.TB) {
			socketiotest.Connect(t, io, socketiotest.Options{Namespace: "/no"})
		},
		`let in to /`: func(t testing.TB) { socketiotest.Refused(t, io, socketiotest.Options{}) },
		`ended before CONNECT to /closed was answered`: func(t testing.TB) {
			socketiotest.Connect(t, io, socketiotest.Options{Namespace: "/closed"})
		},
		`404 Not Found`: func(t testing.TB) { socketiotest.Connect(t, io, socketiotest.Options{Path: "/elsewhere/"}) },
	} {
		if got := failure(t, use); !strings.Contains(got, want) {
			t.Errorf("failed with %q, want %q", got, want)
		}
	}
}
