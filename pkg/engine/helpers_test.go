package engine_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/gorilla/websocket"
)

// client is the Receiver of one session as tests see it.
type client struct {
	session  *engine.Session
	messages chan message
	closed   chan engine.CloseReason
	hold     chan struct{} // not nil: Message waits for it
	echo     bool
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
		c.session.Send(false, engine.NewFrame(data, binary, time.Time{}))
		return
	}
	c.messages <- message{string(data), binary}
}

func (c *client) Closed(reason engine.CloseReason) {
	c.closed <- reason
	if c.fragile {
		panic("in Closed")
	}
}

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
	front := &httptest.Server{Listener: listener, Config: &http.Server{Handler: s.Server}}
	front.Start()
	s.url = "http://" + listener.Addr().String() + "/engine.io/"
	t.Cleanup(func() {
		s.Close()
		transport.CloseIdleConnections()
		front.Close()
	})
	return s
}

// pipeListener makes connections that exist within a synctest bubble.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

// answer is a whole HTTP answer.
type answer struct {
	status int
	header http.Header
	body   string
}

func (s *server) try(ctx context.Context, method, query, body string, header ...string) (answer, error) {
	r, err := http.NewRequestWithContext(ctx, method, s.url+"?"+query, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := s.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(content)}, err
}

func (s *server) do(method, query, body string, header ...string) answer {
	s.t.Helper()
	a, err := s.try(s.t.Context(), method, query, body, header...)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, query, err)
	}
	return a
}

// poller is one polling client.
type poller struct {
	*server
	*client
	query string
}

// poll opens a polling session.
func (s *server) poll(parameters ...string) poller {
	s.t.Helper()
	query := "EIO=4&transport=polling"
	if len(parameters) > 0 {
		query = parameters[0]
	}
	if a := s.do("GET", query, ""); a.status != 200 {
		s.t.Fatalf("handshake: %d %s", a.status, a.body)
	}
	c := <-s.opened
	return poller{s, c, query + "&sid=" + c.session.ID()}
}

func (p poller) get() answer             { p.t.Helper(); return p.do("GET", p.query, "") }
func (p poller) post(body string) answer { p.t.Helper(); return p.do("POST", p.query, body) }

// getLater starts a GET; the answer is in the channel when it has come.
func (p poller) getLater() <-chan answer {
	result := make(chan answer, 1)
	go func() {
		a, err := p.try(p.t.Context(), "GET", p.query, "")
		if err != nil {
			a.body = err.Error()
		}
		result <- a
	}()
	return result
}

func (p poller) getWaiting() <-chan answer {
	p.t.Helper()
	result := p.getLater()
	p.eventually("a poll waits", func() bool { return engine.Polling(p.session) })
	return result
}

func (s *server) wantAnswer(what string, a answer, status int, body string) {
	s.t.Helper()
	if a.status != status || a.body != body {
		s.t.Errorf("%s: got %d %q, want %d %q", what, a.status, a.body, status, body)
	}
}

func (p poller) wantPosted(body string) {
	p.t.Helper()
	p.wantAnswer("POST "+body, p.post(body), 200, "ok")
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
	case <-time.After(10 * time.Second):
		s.t.Fatalf("received nothing, want %q", data)
	}
}

// eventually polls a condition that nothing announces.
func (s *server) eventually(what string, condition func() bool) {
	s.t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// ws connects a WebSocket without expecting anything.
func (s *server) ws(query string, header ...string) *socket {
	s.t.Helper()
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	dialer := websocket.Dialer{NetDialContext: s.dial, EnableCompression: true, TLSClientConfig: s.tls}
	conn, response, err := dialer.DialContext(s.t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"?"+query, h)
	if err != nil {
		s.t.Fatalf("dial %s: %v", query, err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return &socket{conn, s.t, response.Header}
}

// connect opens a WebSocket session.
func (s *server) connect(parameters ...string) (*socket, *client) {
	s.t.Helper()
	query := "EIO=4&transport=websocket"
	if len(parameters) > 0 {
		query = parameters[0]
	}
	ws := s.ws(query)
	c := <-s.opened
	if open := ws.read(); !strings.HasPrefix(open.data, `0{"sid":"`+c.session.ID()) {
		s.t.Fatalf("first frame %q", open.data)
	}
	return ws, c
}

type socket struct {
	*websocket.Conn
	t      *testing.T
	header http.Header
}

func (w *socket) text(data string) {
	w.t.Helper()
	if err := w.WriteMessage(websocket.TextMessage, []byte(data)); err != nil {
		w.t.Fatalf("write %q: %v", data, err)
	}
}

func (w *socket) binary(data string) {
	w.t.Helper()
	if err := w.WriteMessage(websocket.BinaryMessage, []byte(data)); err != nil {
		w.t.Fatalf("write: %v", err)
	}
}

func (w *socket) read() message {
	w.t.Helper()
	kind, data, err := w.ReadMessage()
	if err != nil {
		w.t.Fatalf("read: %v", err)
	}
	return message{string(data), kind == websocket.BinaryMessage}
}

func (w *socket) want(data string) {
	w.t.Helper()
	if got := w.read(); got.data != data || got.binary {
		w.t.Errorf("read %+v, want text %q", got, data)
	}
}

func (w *socket) wantBinary(data string) {
	w.t.Helper()
	if got := w.read(); got.data != data || !got.binary {
		w.t.Errorf("read %+v, want binary %q", got, data)
	}
}

// wantClose reads a Close frame with this code; 1005 is one without.
func (w *socket) wantClose(code int) {
	w.t.Helper()
	_, data, err := w.ReadMessage()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != code {
		w.t.Errorf("read %q, %v, want a Close frame with %d", data, err, code)
	}
	w.Close()
}

// raw opens a connection and writes head to it.
func (s *server) raw(head string) net.Conn {
	s.t.Helper()
	conn, err := s.dial(s.t.Context(), "tcp", strings.Split(s.url, "/")[2])
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, strings.ReplaceAll(head, "\n", "\r\n")); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

func write(t *testing.T, conn net.Conn, data string) {
	t.Helper()
	if _, err := io.WriteString(conn, data); err != nil {
		t.Fatal(err)
	}
}

// readAll reads what comes until the server hangs up.
func readAll(t *testing.T, conn net.Conn) string {
	t.Helper()
	var b bytes.Buffer
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(&b, conn); err != nil && b.Len() == 0 && !strings.Contains(err.Error(), "reset") {
		t.Errorf("read: %v", err)
	}
	return b.String()
}

// readUntil reads until what it has read ends in last.
func readUntil(t *testing.T, conn net.Conn, last string) string {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	var got []byte
	r := bufio.NewReader(conn)
	for !strings.HasSuffix(string(got), last) {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatalf("read %q, then %v", got, err)
		}
		got = append(got, b)
	}
	return string(got)
}

func readResponse(t *testing.T, conn net.Conn) answer {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

func text(data string) *engine.Frame { return engine.NewFrame([]byte(data), false, time.Time{}) }
func bin(data string) *engine.Frame  { return engine.NewFrame([]byte(data), true, time.Time{}) }
