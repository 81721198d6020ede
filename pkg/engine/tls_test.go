package engine_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/prometheus/client_golang/prometheus"
)

// startTLS serves an engine over TLS, with HTTP/2 for clients that offer it, on connections made by wrap.
func startTLS(t *testing.T, config engine.Config, wrap func(net.Conn) net.Conn, onOpen ...func(*client)) *server {
	t.Helper()
	s := &server{t: t, opened: make(chan *client, 100), dial: (&net.Dialer{}).DialContext}
	if len(onOpen) > 0 {
		s.onOpen = onOpen[0]
	}
	var err error
	if s.Server, err = engine.New(s, config); err != nil {
		t.Fatal(err)
	}
	front := httptest.NewUnstartedServer(s.Server)
	front.EnableHTTP2 = true
	front.Listener = wrappingListener{front.Listener, wrap}
	front.StartTLS()
	s.url, s.http = front.URL+"/engine.io/", front.Client()
	s.tls = s.http.Transport.(*http.Transport).TLSClientConfig.Clone()
	s.tls.NextProtos = nil
	t.Cleanup(func() {
		s.Close()
		s.http.CloseIdleConnections()
		front.Close()
	})
	return s
}

type wrappingListener struct {
	net.Listener
	wrap func(net.Conn) net.Conn
}

func (l wrappingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil || l.wrap == nil {
		return conn, err
	}
	return l.wrap(conn), nil
}

// opaque hides everything but net.Conn's own methods; transparent shows what it wraps as crypto/tls does.
type (
	opaque      struct{ net.Conn }
	transparent struct{ net.Conn }
)

func (t transparent) NetConn() net.Conn { return t.Conn }

var wraps = map[string]func(net.Conn) net.Conn{
	"bare":        nil,
	"opaque":      func(c net.Conn) net.Conn { return opaque{c} },
	"transparent": func(c net.Conn) net.Conn { return transparent{c} },
	"parkable":    engine.Parkable,
}

// Under TLS an idle connection has no reader either, however its records arrive.
func TestTLS_IdleConnectionsOfAListenerAreParked(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	s := startTLS(t, engine.Config{}, engine.Parkable, echoing)
	ws, c := s.connect()
	large := strings.Repeat("x", 200_000)
	for _, payload := range []string{"a", "", large, "b", large} {
		s.parked(c)
		ws.text("4" + payload)
		ws.want("4" + payload)
	}
	for range 3 * engine.Busy {
		ws.text("4x")
		ws.want("4x")
	}
	_ = ws.NetConn().Close()
	s.wantClosed(c, engine.TransportClose)
}

// The records of a message in pieces, with pauses in which the connection is parked.
func TestTLS_RecordsThatArriveByteByByte(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	s := startTLS(t, engine.Config{}, engine.Parkable)
	config := s.tls
	var trickle *trickling
	s.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		trickle = &trickling{Conn: conn}
		return trickle, nil
	}
	s.tls = config
	ws, c := s.connect()
	s.parked(c)
	trickle.slow = func() { s.parked(c) }
	ws.text("4hello")
	s.wantMessage(c, "hello", false)
	ws.text("4" + strings.Repeat("x", 300))
	s.wantMessage(c, strings.Repeat("x", 300), false)
}

// trickling writes byte by byte, and calls slow before each.
type trickling struct {
	net.Conn
	slow func()
}

func (c *trickling) Write(p []byte) (int, error) {
	if c.slow == nil {
		return c.Conn.Write(p)
	}
	for i := range p {
		c.slow()
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

func TestTLS_UpgradeAndClose(t *testing.T) {
	for name, wrap := range wraps {
		t.Run(name, func(t *testing.T) {
			s := startTLS(t, engine.Config{}, wrap, echoing)
			p := s.poll()
			if !p.session.Handshake().Secure {
				t.Error("the handshake is not secure")
			}
			ws := p.probe()
			ws.text("5")
			large := strings.Repeat("x", 200_000)
			ws.text("4" + large)
			ws.want("4" + large)
			ws.binary("\x01\x02")
			ws.wantBinary("\x01\x02")
			p.session.Send(false, text("last"))
			p.session.Close(engine.ForcedClose)
			ws.want("4last")
			ws.wantClose(1005)
			s.wantClosed(p.client, engine.ForcedClose)
		})
	}
}

// Closing a TLS connection says so to the peer first, and waits five seconds for one that does not read. Neither the
// sender that finds the slow consumer nor Server.Close waits for that: for the slow consumers alone it would take a minute.
func TestTLS_AStalledClientHoldsNobodyUp(t *testing.T) {
	for name, wrap := range wraps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const clients = 12
			s := startTLS(t, engine.Config{Outbox: 1 << 20, OutboxHard: 1 << 20}, wrap)
			frame := text(strings.Repeat("x", 10_000))
			var all []*client
			began := time.Now()
			for range clients {
				slow, stalled := s.stall(), s.stall()
				for slow.session.Send(false, frame) {
					if engine.Waiting(slow.session) > 1<<20 {
						t.Fatal("the outbox holds more than its limit")
					}
				}
				s.wantClosed(slow, engine.SlowConsumer)
				for engine.Waiting(stalled.session) < 1<<19 {
					stalled.session.Send(false, frame)
				}
				all = append(all, stalled)
			}
			s.Close()
			for _, c := range all {
				s.wantClosed(c, engine.ShuttingDown)
			}
			if took := time.Since(began); took > clients*4*time.Second { // two or three are usual
				t.Errorf("took %v", took)
			}
		})
	}
}

// What TLS has made of a batch cannot be taken back. A client that does not read has one chunk of it, which counts.
func TestTLS_AStalledClientHoldsOneChunk(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	const stalled = 30
	registry := prometheus.NewRegistry()
	s := startTLS(t, engine.Config{Registry: registry}, engine.Parkable)
	var clients []*client
	for range stalled {
		clients = append(clients, s.stall())
	}
	frame := text(strings.Repeat("x", 7_000))
	many := slices.Repeat([]*engine.Frame{frame}, 10)
	baseline := heap()
	for _, c := range clients {
		for engine.Waiting(c.session) < 500_000 {
			c.session.Send(false, many...)
		}
	}
	s.eventually("one chunk is held and counted", func() bool {
		waiting := 0
		for _, c := range clients {
			waiting += engine.Waiting(c.session)
		}
		extra := int(metric(t, registry, "carillon_outbox_bytes")) - waiting
		return (heap()-baseline)/stalled < 32<<10 && extra > 0 && extra < stalled*32<<10
	})
	for _, c := range clients {
		c.session.Close(engine.SlowConsumer)
	}
	s.eventually("nothing is counted any more", func() bool { return metric(t, registry, "carillon_outbox_bytes") == 0 })
}

// A client that reads slowly is served to the end, with its Close frame and the end of TLS behind everything.
func TestTLS_ClosingDeliversWhatWaits(t *testing.T) {
	for name, wrap := range wraps {
		t.Run(name, func(t *testing.T) {
			s := startTLS(t, engine.Config{}, wrap)
			ws, c := s.connect()
			const messages = 60
			large := strings.Repeat("x", 100_000)
			for range messages {
				c.session.Send(false, text(large))
			}
			c.session.Close(engine.ForcedClose)
			for range messages {
				ws.want("4" + large)
			}
			ws.wantClose(1005)
			if _, err := ws.NetConn().Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("behind the Close frame: %v", err)
			}
			s.wantClosed(c, engine.ForcedClose)
		})
	}
}

// What TLS answers behind the Close frame is no reason to cut the connection: the kernel still holds what the client has to read.
func TestTLS_WhatCannotBeAnsweredBehindTheCloseFrameCutsNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	var below net.Conn
	s := startTLS(t, engine.Config{}, func(conn net.Conn) net.Conn {
		below = engine.Parkable(conn)
		return below
	})
	ws, c := s.connect()
	if err := ws.tcp().SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	c.session.Close(engine.ForcedClose)
	s.eventually("the Close frame is sent, and the kernel full", func() bool {
		return engine.CloseFrameSent(c.session) && engine.Congest(c.session, below)
	})
	for flushers := 1; flushers > 0; { // what was asked for is done
		flushers, _ = engine.Flushing(s.Server)
	}
	if _, err := io.Copy(io.Discard, ws.tcp()); err != nil {
		t.Error(err)
	}
	s.wantClosed(c, engine.ForcedClose)
}

// A message is handled although part of an alert has arrived behind it, which crypto/tls looks for under TLS 1.2.
func TestTLS_AMessageBeforePartOfAnAlert(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	s := startTLS(t, engine.Config{}, engine.Parkable)
	s.tls.MaxVersion = tls.VersionTLS12
	held := &holding{}
	s.dial = func(ctx context.Context, network, address string) (conn net.Conn, err error) {
		held.Conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return held, err
	}
	ws, c := s.connect()
	held.hold = true
	ws.text("4hello")
	if err := ws.NetConn().(*tls.Conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	last := len(held.bytes) - 1
	write(t, held.Conn, string(held.bytes[:last]))
	s.wantMessage(c, "hello", false)
	write(t, held.Conn, string(held.bytes[last:]))
	s.wantClosed(c, engine.TransportClose)
}

// holding keeps what is written. The deadline that TLS sets behind the end of its stream is not for what is kept.
type holding struct {
	net.Conn
	hold  bool
	bytes []byte
}

func (c *holding) SetWriteDeadline(time.Time) error { return nil }

func (c *holding) Write(p []byte) (int, error) {
	if !c.hold {
		return c.Conn.Write(p)
	}
	c.bytes = append(c.bytes, p...)
	return len(p), nil
}

func TestHTTP2_Polling(t *testing.T) {
	s := startTLS(t, engine.Config{CompressPolling: true, MaxPayload: 10_000}, nil, echoing)
	response, err := s.http.Get(s.url + "?EIO=4&transport=polling")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.ProtoMajor != 2 {
		t.Fatalf("protocol %s", response.Proto)
	}
	<-s.opened
	p := s.poll()
	waiting := p.getWaiting()
	p.wantPosted("4hello")
	s.wantAnswer("waiting", <-waiting, 200, "4hello")
	p.wantPosted("4hello\x1ebAQIDBA==")
	s.wantAnswer("poll", p.get(), 200, "4hello\x1ebAQIDBA==")
	s.wantAnswer("too large", p.post("4"+strings.Repeat("x", 100_000)), 413, "")
	long := strings.Repeat("y", 5000)
	p.wantPosted("4" + long)
	if a := p.get(); a.body != "4"+long || a.header.Get("Content-Length") != "" { // net/http has decoded it
		t.Errorf("compressed: %d, %d bytes, %v", a.status, len(a.body), a.header)
	}

	first := p.getWaiting()
	s.wantAnswer("second", p.get(), 400, "")
	s.wantAnswer("first", <-first, 200, "1")
	s.wantClosed(p.client, engine.TransportError)
}

func TestHTTP2_AbortedPollAndPostEndTheirSessions(t *testing.T) {
	s := startTLS(t, engine.Config{}, nil)
	p := s.poll()
	ctx, cancel := context.WithCancel(t.Context())
	aborted := make(chan struct{})
	go func() {
		defer close(aborted)
		_, _ = s.try(ctx, "GET", p.query, "")
	}()
	s.eventually("a poll waits", func() bool { return engine.Polling(p.session) })
	cancel()
	<-aborted
	s.wantClosed(p.client, engine.TransportError)

	p = s.poll()
	first := make(chan error, 1)
	body, never := net.Pipe()
	defer never.Close()
	go func() {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"?"+p.query, body)
		if err == nil {
			_, err = s.http.Do(r)
		}
		first <- err
	}()
	s.eventually("a post arrives", func() bool { return engine.Posting(p.session) })
	s.wantAnswer("second", p.post("4x"), 400, "")
	if err := <-first; err == nil {
		t.Error("the first post was answered")
	}
	s.wantClosed(p.client, engine.TransportError)
}

func TestHTTP2_ThereIsNoUpgrade(t *testing.T) {
	s := startTLS(t, engine.Config{}, nil)
	s.wantAnswer("websocket", s.do("GET", "EIO=4&transport=websocket", ""), 400, `{"code":3,"message":"Bad request"}`)

	r := httptest.NewRequest(http.MethodGet, "/?EIO=4&transport=websocket", nil)
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
	for i, h := 0, upgradeHeaders(); i < len(h); i += 2 {
		r.Header.Set(h[i], h[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != 400 || w.Body.String() != "Bad request" {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
	if n := s.Sessions(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}
