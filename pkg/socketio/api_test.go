package socketio_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
	"github.com/carillon-io/carillon/test/program"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Two modules that listen for one event both receive it, in the order in which they began to, and each can stop.
func TestOn_HandlersOfOneEventAddUp(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	calls := make(chan string, 8)
	server.Of("/").OnConnect(func(s *socketio.Socket) {
		s.On("e", func() { calls <- "first" })
		var once func()
		once = s.On("e", func() { once(); calls <- "once" })
		anyOff := s.OnAny(func(e socketio.Event) { calls <- "any " + e.Name })
		outOff := s.OnAnyOutgoing(func(e socketio.Event) { calls <- "out " + e.Name })
		s.On("quiet", func(a socketio.Ack) { anyOff(); outOff(); _ = s.Emit("unheard"); _ = a.Send() })
		s.On("e", func(a socketio.Ack) { _ = s.Emit("out"); _ = a.Send() })
	})
	p, _ := join(t, url)
	for _, want := range [][]string{
		{"any e", "first", "once", "out out"},
		{"any e", "first", "out out"},
	} {
		p.send(`421["e"]`)
		p.expect(`42["out"]`, `431[]`)
		for _, w := range want {
			if got := receive(t, calls); got != w {
				t.Errorf("%q, want %q", got, w)
			}
		}
	}
	p.send(`422["quiet"]`, `423["e"]`)
	p.expect(`42["unheard"]`, `432[]`, `42["out"]`, `433[]`)
	if got := receive(t, calls) + receive(t, calls); got != "any quietfirst" {
		t.Errorf("%q", got)
	}
	nothing(t, calls)
}

// A client that sends what no handler takes learns of it, and so does the application.
func TestOn_WhatDoesNotFitIsAnsweredAndReported(t *testing.T) {
	type report struct {
		event string
		err   error
	}
	reports := make(chan report, 4)
	server, url := serve(t, socketio.Config{OnError: func(s *socketio.Socket, e socketio.Event, err error) {
		if s == nil || !s.Connected() {
			t.Error("reported without its socket")
		}
		reports <- report{e.Name, err}
	}})
	ran := make(chan int, 4)
	server.Of("/").OnConnect(func(s *socketio.Socket) {
		s.On("n", func(n int) { ran <- n })
		s.On("both", func(int) { t.Error("a text is no number") })
		s.On("both", func(_ string, a socketio.Ack) { _ = a.Send("text") })
	})
	p, _ := join(t, url)
	p.send(`421["n","x"]`)
	p.expect(`431[{"ok":false,"error":{"code":"invalid","message":"the arguments do not fit"}}]`)
	if r := receive(t, reports); r.event != "n" || !errors.Is(r.err, socketio.ErrArguments) {
		t.Errorf("reported %v", r)
	}
	p.send(`422["both","x"]`)
	p.expect(`432["text"]`)
	if r := receive(t, reports); r.event != "both" || !errors.Is(r.err, socketio.ErrArguments) {
		t.Errorf("reported %v", r)
	}
	p.send(`423["nobody"]`)
	if r := receive(t, reports); r.event != "nobody" || !errors.Is(r.err, socketio.ErrUnhandled) {
		t.Errorf("reported %v", r)
	}
	p.send(`42["n",1e3]`)
	if n := receive(t, ran); n != 1000 {
		t.Errorf("handled with %d", n)
	}
	nothing(t, reports)
}

// Without a deadline every wait for acknowledgements has the same one, for one socket and for many.
func TestEmitWithAck_WithoutADeadlineEndsAfterAckTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		io, err := socketio.New(socketio.Config{AckTimeout: 3 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer io.Close()
		connected := sockets(io.Of("/"))
		socketiotest.Connect(t, io, socketiotest.Options{})
		s := <-connected
		for name, ask := range map[string]func() error{
			"a socket": func() error { _, err := s.EmitWithAck(context.Background(), "q"); return err },
			"many":     func() error { _, err := io.Of("/").EmitWithAck(context.Background(), "q"); return err },
		} {
			start := time.Now()
			if err := ask(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
			if took := time.Since(start); took != 3*time.Second {
				t.Errorf("%s: %v", name, took)
			}
		}
	})
}

func TestAck_OfWhatTheClientsParserCannotCarryIsAnError(t *testing.T) {
	server, url := serve(t, socketio.Config{Parser: packet.MsgpackParser})
	result := make(chan error, 1)
	server.Of("/").OnConnect(func(s *socketio.Socket) {
		s.OnAny(func(e socketio.Event) {
			result <- e.Ack.SendArgs(socketio.Args{JSON: []byte(`[{"_placeholder":true,"num":3}]`), Attachments: [][]byte{{1}}})
		})
	})
	p := joinMsgpack(t, url, sockets(server.Of("/")))
	p.send(msgpackEcho)
	if err := receive(t, result); !errors.Is(err, socketio.ErrParser) {
		t.Errorf("got %v", err)
	}
}

func TestValue_OneOfEachTypeForEachSocket(t *testing.T) {
	type user struct{ name string }
	type visits int
	server, url := serve(t, socketio.Config{})
	connected := sockets(server.Of("/"))
	server.Of("/").Use(func(_ context.Context, s *socketio.Socket) error {
		if _, ok := socketio.Value[user](s); ok {
			t.Error("a new socket has a value")
		}
		socketio.SetValue(s, user{"ada"})
		socketio.SetValue(s, visits(1))
		socketio.SetValue(s, visits(2))
		socketio.SetValue[error](s, socketio.ErrClose)
		return nil
	})
	join(t, url)
	s := receive(t, connected)
	u, hasUser := socketio.Value[user](s)
	v, hasVisits := socketio.Value[visits](s)
	if !hasUser || !hasVisits || u.name != "ada" || v != 2 {
		t.Errorf("%v %v, %v %v", u, hasUser, v, hasVisits)
	}
	if err, ok := socketio.Value[error](s); !ok || !errors.Is(err, socketio.ErrClose) {
		t.Errorf("an interface: %v %v", err, ok)
	}
	if _, ok := socketio.Value[*user](s); ok {
		t.Error("a pointer is another type")
	}
}

// What HTTP middleware has found out about a request reaches the sockets of its connection.
func TestSocketContext_HasTheValuesOfTheRequest(t *testing.T) {
	type key struct{}
	io, err := socketio.New(socketio.Config{})
	if err != nil {
		t.Fatal(err)
	}
	connected := sockets(io.Of("/"))
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "ada")))
	}))
	t.Cleanup(func() {
		io.Close()
		web.Close()
	})
	join(t, web.URL)
	s := receive(t, connected)
	if got := s.Context().Value(key{}); got != "ada" {
		t.Errorf("value %v", got)
	}
	child, cancel := context.WithCancel(s.Context())
	defer cancel()
	s.Disconnect()
	receive(t, child.Done())
}

func TestRemoteSocket_ActsOnASocketOfAnyNode(t *testing.T) {
	overClusters(t, func(t *testing.T, start starter) {
		nodes, urls := start(socketio.Config{}, socketio.Config{})
		p, s := member(t, nodes[1], urls[1], "r")
		s.SetData(map[string]string{"user": "ada"})
		list, err := nodes[0].Of("/").To("r").FetchSockets(within(t))
		if err != nil || len(list) != 1 {
			t.Fatalf("%v, %v", list, err)
		}
		remote := list[0]
		var data struct{ User string }
		if err := remote.UnmarshalData(&data); err != nil || data.User != "ada" {
			t.Errorf("data %v, %v", data, err)
		}
		remote.Join("x")
		remote.Leave("r")
		if err := remote.Emit("hello", 1); err != nil {
			t.Error(err)
		}
		p.expect(`42["hello",1]`)
		if rooms := s.Rooms(nil); !slices.Equal(rooms, []string{s.ID(), "x"}) {
			t.Errorf("rooms %q", rooms)
		}
		remote.Disconnect()
		p.expect("41")
	})
}

// Everything seems to work without Run, but for what should reach other nodes.
func TestRun_ForgottenRefusesRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &program.Output{}
		io, err := socketio.New(socketio.Config{Adapter: &registry{}, Logger: zap.New(zapcore.NewCore(
			zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(log), zap.DebugLevel))})
		if err != nil {
			t.Fatal(err)
		}
		defer io.Close()
		request := func() *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			io.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/socket.io/?EIO=4&transport=polling", nil))
			return w
		}
		for range 2 {
			if w := request(); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "Server.Run") {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
		}
		if n := strings.Count(log.String(), "Server.Run has not been called"); n != 1 {
			t.Errorf("logged %d times", n)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- io.Run(ctx) }()
		synctest.Wait()
		if w := request(); w.Code != http.StatusOK {
			t.Errorf("after Run: %d %s", w.Code, w.Body)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Config.Origins is all that a page of another origin needs.
func TestOrigins_LetInRefuseAndAnswerPreflights(t *testing.T) {
	_, url := serve(t, socketio.Config{Origins: []string{"https://app.example"}, Engine: engine.Config{
		Headers: func(_ *http.Request, h http.Header) { h.Set("X-Own", "1") },
		Check: func(r *http.Request) *engine.Refusal {
			if r.Header.Get("X-Banned") != "" {
				return &engine.Refusal{Status: http.StatusTeapot}
			}
			return nil
		},
	}})
	for name, c := range map[string]struct {
		method, origin, banned string
		status                 int
		allow                  string
	}{
		"no browser":             {http.MethodGet, "", "", http.StatusOK, ""},
		"own page":               {http.MethodGet, url, "", http.StatusOK, ""},
		"listed":                 {http.MethodGet, "https://app.example", "", http.StatusOK, "https://app.example"},
		"another":                {http.MethodGet, "https://evil.example", "", http.StatusForbidden, ""},
		"listed, asks first":     {http.MethodOptions, "https://app.example", "", http.StatusNoContent, "https://app.example"},
		"the application's hook": {http.MethodGet, "https://app.example", "1", http.StatusTeapot, "https://app.example"},
	} {
		r, err := http.NewRequestWithContext(within(t), c.method, url+"/socket.io/?EIO=4&transport=polling", nil)
		if err != nil {
			t.Fatal(err)
		}
		for header, value := range map[string]string{"Origin": c.origin, "X-Banned": c.banned} {
			if value != "" {
				r.Header.Set(header, value)
			}
		}
		if c.method == http.MethodOptions {
			r.Header.Set("Access-Control-Request-Method", http.MethodGet)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if got := answer.Header.Get("Access-Control-Allow-Origin"); answer.StatusCode != c.status || got != c.allow {
			t.Errorf("%s: %d, allowed %q", name, answer.StatusCode, got)
		}
		if c.method == http.MethodGet && answer.Header.Get("X-Own") == "" {
			t.Errorf("%s: without the application's header", name)
		}
	}
	if _, err := socketio.New(socketio.Config{Origins: []string{"app.example"}}); err == nil {
		t.Error("an origin without a scheme is taken")
	}
}
