package engine_test

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/test/await"
	"github.com/gorilla/websocket"
)

// server is an engine behind net/http.
type server struct {
	*engine.Server
	t      *testing.T
	url    string
	dial   func(context.Context, string, string) (net.Conn, error)
	http   *http.Client
	tls    *tls.Config
	opened chan *client

	// Static before the first request.
	onOpen func(*client)
}

func (s *server) Open(session *engine.Session) engine.Receiver {
	c := &client{session: session, messages: make(chan message, 1000), closed: make(chan engine.CloseReason, 2)}
	if s.onOpen != nil {
		s.onOpen(c)
	}
	s.opened <- c
	return c
}

// start serves an engine on a loopback port.
func start(t *testing.T, config engine.Config, onOpen ...func(*client)) *server {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, listener, (&net.Dialer{}).DialContext, config, onOpen...)
}

// startInBubble serves an engine on pipes, for use under synctest.
func startInBubble(t *testing.T, config engine.Config, onOpen ...func(*client)) *server {
	pipes := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	return serveOn(t, pipes, pipes.dial, config, onOpen...)
}

func serveOn(
	t *testing.T, listener net.Listener, dial func(context.Context, string, string) (net.Conn, error),
	config engine.Config, onOpen ...func(*client),
) *server {
	t.Helper()
	s := &server{t: t, opened: make(chan *client, 2000), dial: dial}
	if len(onOpen) > 0 {
		s.onOpen = onOpen[0]
	}
	var err error
	if s.Server, err = engine.New(s, config); err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DialContext: dial, DisableCompression: true}
	s.http = &http.Client{Transport: transport}
	front := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(s.route)}}
	front.Start()
	s.url = "http://" + listener.Addr().String() + "/engine.io/"
	t.Cleanup(func() {
		s.Close()
		transport.CloseIdleConnections()
		front.Close()
	})
	return s
}

// route serves plain sessions beside Engine.IO's.
func (s *server) route(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/plain"):
		protocol := ""
		if slices.Contains(websocket.Subprotocols(r), "v1") {
			protocol = "v1"
		}
		s.ServePlain(w, r, protocol, s)
	case r.URL.Path == "/events":
		s.ServeStream(w, r, s)
	default:
		s.ServeHTTP(w, r)
	}
}

// client is the Receiver of one session as tests see it.
type client struct {
	session  *engine.Session
	messages chan message
	closed   chan engine.CloseReason
	hold     chan struct{} // not nil: Message waits for it
	echo     bool
	farewell func(code int) (int, string, *engine.Frame)
	fragile  bool // Message panics when told to, Closed always
}

type message struct {
	data   string
	binary bool
}

func (c *client) Message(data []byte, binary bool) {
	if c.hold != nil {
		<-c.hold
	}
	if c.fragile && string(data) == "panic" {
		panic("in Message")
	}
	if c.fragile && string(data) == "exit" {
		runtime.Goexit()
	}
	if c.echo {
		frame := engine.NewFrame
		if c.session.Revision() == 0 {
			frame = engine.NewPlainFrame
		}
		c.session.Send(false, frame(data, binary, time.Time{}))
		return
	}
	c.messages <- message{string(data), binary}
}

func (c *client) Farewell(code int) (int, string, *engine.Frame) {
	if c.farewell == nil {
		return code, "", nil
	}
	return c.farewell(code)
}

func (c *client) Closed(reason engine.CloseReason) {
	c.closed <- reason
	if c.fragile {
		panic("in Closed")
	}
}

func (s *server) wantClosed(c *client, reason engine.CloseReason) {
	s.t.Helper()
	select {
	case got := <-c.closed:
		if got != reason {
			s.t.Errorf("closed with %q, want %q", got, reason)
		}
	case <-time.After(time.Minute): // long enough for every deadline in a bubble
		s.t.Fatalf("not closed, want %q", reason)
	}
}

func (s *server) wantMessage(c *client, data string, binary bool) {
	s.t.Helper()
	select {
	case got := <-c.messages:
		if got.data != data || got.binary != binary {
			s.t.Errorf("received %+v, want %q, binary %v", got, data, binary)
		}
	case <-time.After(await.Limit):
		s.t.Fatalf("received nothing, want %q", data)
	}
}

// eventually polls a condition that nothing announces.
func (s *server) eventually(what string, condition func() bool) {
	s.t.Helper()
	deadline := time.After(await.Limit)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("not within %v: %s", await.Limit, what)
		}
	}
}

func text(data string) *engine.Frame { return engine.NewFrame([]byte(data), false, time.Time{}) }
func bin(data string) *engine.Frame  { return engine.NewFrame([]byte(data), true, time.Time{}) }
