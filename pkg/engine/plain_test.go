package engine_test

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
)

func plainText(data string) *engine.Frame {
	return engine.NewPlainFrame([]byte(data), false, time.Time{})
}

func plainBinary(data string) *engine.Frame {
	return engine.NewPlainFrame([]byte(data), true, time.Time{})
}

// plain opens a plain WebSocket session.
func (s *server) plain(protocols ...string) (*socket, *client) {
	s.t.Helper()
	dialer := websocket.Dialer{NetDialContext: s.dial, EnableCompression: true, Subprotocols: protocols}
	conn, response, err := dialer.DialContext(s.t.Context(), "ws"+strings.TrimSuffix(strings.TrimPrefix(s.url, "http"), "engine.io/")+"plain", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return &socket{conn, s.t, response.Header}, <-s.opened
}

// at requests another path than Engine.IO's.
func (s *server) at(path, method string, header ...string) *http.Response {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, strings.TrimSuffix(s.url, "/engine.io/")+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := s.http.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { response.Body.Close() })
	return response
}

var plainUpgrade = []string{
	"Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==",
}

func TestPlain_MessagesAreFramesAsTheyAre(t *testing.T) {
	for name, compressed := range map[string]bool{"as they are": false, "compressed": true} {
		t.Run(name, func(t *testing.T) {
			s := start(t, engine.Config{CompressWebSocket: compressed})
			ws, c := s.plain()
			long := strings.Repeat("4 is no packet type here. ", 100)
			for _, data := range []string{"", "hello", "4hello", "2", "3", "1", "b4AAA", "ä", long} {
				ws.text(data)
				s.wantMessage(c, data, false)
				ws.binary(data)
				s.wantMessage(c, data, true)
				c.session.Send(false, plainText(data), plainBinary(data))
				ws.want(data)
				ws.wantBinary(data)
			}
		})
	}
}

func TestPlain_WhatTheSessionSaysOfItself(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := start(t, engine.Config{Registry: registry})
	ws, c := s.plain("v2", "v1")
	if got := ws.Subprotocol(); got != "v1" {
		t.Errorf("subprotocol %q", got)
	}
	if got := c.session.Transport(); got != "native" || c.session.Revision() != 0 {
		t.Errorf("transport %q, revision %d", got, c.session.Revision())
	}
	ws.text("1234")
	s.wantMessage(c, "1234", false)
	for name, label := range map[string]string{
		"carillon_connections": "native", "carillon_handshakes_total": "ok,native", "carillon_packets_total": "in,message",
	} {
		s.eventually(name, func() bool { return metric(t, registry, name, label) == 1 })
	}
	if got := metric(t, registry, "carillon_bytes_total", "in,native"); got != 4 {
		t.Errorf("bytes in: %v", got)
	}
	ws, _ = s.plain("v2")
	if got := ws.Subprotocol(); got != "" {
		t.Errorf("subprotocol %q, none of the offered is known", got)
	}
	for _, query := range []string{"EIO=4&transport=polling", "EIO=3&transport=polling", "EIO=4&transport=websocket"} {
		if got := s.do("GET", query+"&sid="+c.session.ID(), ""); got.status != http.StatusBadRequest {
			t.Errorf("%s with its id: %d", query, got.status)
		}
	}
}

func TestPlain_WhatIsRefused(t *testing.T) {
	forbidden := func(r *http.Request) *engine.Refusal {
		if r.Header.Get("Origin") != "" {
			return &engine.Refusal{Status: http.StatusForbidden, Code: 4, Message: "Forbidden"}
		}
		return nil
	}
	for name, tt := range map[string]struct {
		method string
		header []string
		limits engine.Limits
		refuse bool
		status [2]int // of /plain and /events; 0: served
	}{
		"another method": {method: "POST", header: plainUpgrade, status: [2]int{405, 405}},
		"no upgrade":     {method: "GET", status: [2]int{426, 0}},
		"no key":         {method: "GET", header: plainUpgrade[:6], status: [2]int{400, 0}},
		"no version":     {method: "GET", header: append([]string{"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="}, plainUpgrade[:4]...), status: [2]int{400, 0}},
		"origin":         {method: "GET", header: append([]string{"Origin", "http://elsewhere"}, plainUpgrade...), status: [2]int{403, 403}},
		"limit":          {method: "GET", header: plainUpgrade, limits: engine.Limits{Sessions: 1}, status: [2]int{503, 503}},
		"draining":       {method: "GET", header: plainUpgrade, refuse: true, status: [2]int{503, 503}},
		"headers":        {method: "GET", header: append([]string{"X-Long", strings.Repeat("x", 21<<10)}, plainUpgrade...), status: [2]int{431, 431}},
	} {
		t.Run(name, func(t *testing.T) {
			var refused []engine.Refusal
			s := start(t, engine.Config{Check: forbidden, OnRefusal: func(_ *http.Request, r engine.Refusal) { refused = append(refused, r) }})
			s.SetLimits(tt.limits)
			s.connect()
			if tt.refuse {
				s.Refuse()
			}
			refusals := 0
			for i, path := range []string{"/plain", "/events"} {
				want := tt.status[i]
				if want == 0 {
					continue
				}
				refusals++
				response := s.at(path, tt.method, tt.header...)
				body, err := io.ReadAll(response.Body)
				if response.StatusCode != want || err != nil || !strings.Contains(string(body), `"message":`) {
					t.Errorf("%s: %d %q %v, want %d", path, response.StatusCode, body, err, want)
				}
				if retry := response.Header.Get("Retry-After"); (want == 503) != (retry != "") {
					t.Errorf("%s: Retry-After %q", path, retry)
				}
			}
			if len(refused) != refusals {
				t.Errorf("OnRefusal was called with %v", refused)
			}
			if got := s.Sessions(); got != 1 {
				t.Errorf("%d sessions", got)
			}
		})
	}
}

func TestPlain_PingsKeepItAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, beat)
		began := time.Now()
		ws, c := s.plain()
		pings := 0
		ws.SetPingHandler(func(string) error {
			if pings++; pings < 4 {
				return ws.WriteControl(websocket.PongMessage, nil, time.Now().Add(time.Second))
			}
			return nil
		})
		_, _, err := ws.ReadMessage()
		var closed *websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != 1005 || pings != 4 {
			t.Errorf("%v after %d pings", err, pings)
		}
		passed(t, "end", began, (4*25-3+20)*time.Second, (4*25+20)*time.Second)
		s.wantClosed(c, engine.PingTimeout)
	})
}

func TestPlain_AReceiverThatBlocksIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, beat, func(c *client) { c.hold = make(chan struct{}) })
		ws, c := s.plain()
		ws.SetPingHandler(func(string) error { return nil }) // nothing would read the pongs
		ws.text("waits")
		go func() {
			time.Sleep(10 * time.Minute)
			close(c.hold)
			c.session.CloseWith(engine.ForcedClose, 4001, "done")
		}()
		ws.wantClose(4001)
		s.wantMessage(c, "waits", false)
		s.wantClosed(c, engine.ForcedClose)
	})
}

// How each end shows to the client of a Receiver that has a say in it, and to that of one that has not.
func TestPlain_Ends(t *testing.T) {
	for name, tt := range map[string]struct {
		end    func(*server, *socket, *client)
		reason engine.CloseReason
		code   int
		asked  int // the code that Farewell was asked with; -1: it was not
	}{
		"closed with a code": {
			func(_ *server, _ *socket, c *client) { c.session.CloseWith(engine.ForcedClose, 4401, "token") },
			engine.ForcedClose, 4401, -1,
		},
		"closed": {
			func(_ *server, _ *socket, c *client) { c.session.Close(engine.ForcedClose) }, engine.ForcedClose, 1005, 0,
		},
		"sent away": {
			func(_ *server, _ *socket, c *client) { c.session.SendAway(engine.ShuttingDown) }, engine.ShuttingDown, 1001, 1001,
		},
		"drained": {
			func(s *server, _ *socket, _ *client) { _ = s.Drain(context.Background(), 0) }, engine.ShuttingDown, 1001, 1001,
		},
		"too large": {
			func(_ *server, ws *socket, _ *client) { ws.text(strings.Repeat("x", 2000)) }, engine.TransportError, 1009, 1009,
		},
		"not UTF-8": {
			func(_ *server, ws *socket, _ *client) { ws.text("\xff") }, engine.TransportError, 1007, 1007,
		},
		"not masked": {
			func(_ *server, ws *socket, _ *client) { _, _ = ws.NetConn().Write([]byte("\x81\x02hi")) }, engine.TransportError, 1002, 1002,
		},
		"Close frame": {
			func(_ *server, ws *socket, _ *client) {
				_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4000, "bye"), time.Time{})
			}, engine.TransportClose, 4000, -1,
		},
		"hung up": {
			func(_ *server, ws *socket, _ *client) { ws.NetConn().Close() }, engine.TransportClose, 0, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan int, 10)
			s := start(t, engine.Config{MaxPayload: 1000}, func(c *client) {
				c.farewell = func(code int) (int, string, *engine.Frame) {
					asked <- code
					if code == 0 {
						return 0, "", nil
					}
					return 3000 + code, "chosen", plainText("last words")
				}
			})
			ws, c := s.plain()
			c.session.Send(false, plainText("queued"))
			ws.want("queued")
			go tt.end(s, ws, c)
			code := tt.code
			if tt.asked > 0 {
				ws.want("last words")
				code = 3000 + tt.asked
			}
			if tt.code != 0 {
				ws.wantClose(code)
			}
			s.wantClosed(c, tt.reason)
			if got := len(asked); tt.code != 0 && got != 0 != (tt.asked >= 0) {
				t.Errorf("asked %d times", got)
			}
			if tt.asked >= 0 && tt.code != 0 {
				if got := <-asked; got != tt.asked {
					t.Errorf("asked with %d, want %d", got, tt.asked)
				}
			}
		})
	}
}

func TestPlain_TheTextOfACloseFrameHasRoom(t *testing.T) {
	s := start(t, engine.Config{})
	for text, want := range map[string]string{
		"token expired":          "token expired",
		"":                       "",
		strings.Repeat("x", 200): strings.Repeat("x", 123),
		strings.Repeat("ä", 100): strings.Repeat("ä", 61),
	} {
		ws, c := s.plain()
		c.session.CloseWith(engine.ForcedClose, 4401, text)
		_, _, err := ws.ReadMessage()
		var closed *websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != 4401 || closed.Text != want {
			t.Errorf("%v, want 4401 %q", err, want)
		}
	}
}

func TestPlain_IsParkedWhileIdle(t *testing.T) {
	s := start(t, engine.Config{}, echoing)
	ws, c := s.plain()
	for range 3 {
		s.parked(c)
		ws.text("hello")
		ws.want("hello")
	}
	s.parked(c)
	if err := ws.WriteControl(websocket.PingMessage, []byte("are you there"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	answered := make(chan string, 1)
	ws.SetPongHandler(func(data string) error { answered <- data; return nil })
	c.session.Send(false, plainText("after"))
	ws.want("after")
	ws.text("again")
	ws.want("again")
	if got := <-answered; got != "are you there" {
		t.Errorf("pong %q", got)
	}
}

func TestPlain_SlowConsumerIsCut(t *testing.T) {
	s := start(t, engine.Config{Outbox: 1 << 20, OutboxHard: 1 << 20})
	_, c := s.plain()
	frame := plainText(strings.Repeat("x", 100_000))
	sent := 0
	for c.session.Send(false, frame) {
		sent++
	}
	s.wantClosed(c, engine.SlowConsumer)
	if sent < 10 {
		t.Errorf("cut after %d messages", sent)
	}
}

// events reads an event stream.
type events struct {
	*server
	response *http.Response
	leave    context.CancelFunc
}

func (s *server) stream() (*events, *client) {
	s.t.Helper()
	ctx, leave := context.WithCancel(s.t.Context())
	s.t.Cleanup(leave)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(s.url, "engine.io/")+"events", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := s.http.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { response.Body.Close() })
	return &events{s, response, leave}, <-s.opened
}

func (e *events) want(data string) {
	e.t.Helper()
	got := make([]byte, len(data))
	if _, err := io.ReadFull(e.response.Body, got); err != nil || string(got) != data {
		e.t.Fatalf("read %q, %v, want %q", got, err, data)
	}
}

func (e *events) wantEnd() {
	e.t.Helper()
	if rest, err := io.ReadAll(e.response.Body); err != nil || len(rest) > 0 {
		e.t.Errorf("read %q, %v, want the end", rest, err)
	}
}

func TestStream_SendsWhatItIsGiven(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := start(t, engine.Config{Registry: registry, CompressPolling: true})
	e, c := s.stream()
	if got := e.response.Header; got.Get("Content-Type") != "text/event-stream" || got.Get("Cache-Control") != "no-store" || got.Get("X-Accel-Buffering") != "no" {
		t.Errorf("headers %v", got)
	}
	if got := c.session.Transport(); got != "sse" || c.session.Revision() != 0 {
		t.Errorf("transport %q, revision %d", got, c.session.Revision())
	}
	c.session.Send(false, plainText("data: 1\n\n"))
	e.want("data: 1\n\n")
	long := "data: " + strings.Repeat("x", 300_000) + "\n\n"
	c.session.Send(false, plainText(long), plainText("data: 2\n\n"))
	c.session.Send(true, plainText("data: 3\n\n"))
	e.want(long + "data: 2\n\n")
	if got := metric(t, registry, "carillon_connections", "sse"); got != 1 {
		t.Errorf("connections %v", got)
	}
	for _, method := range []string{"GET", "POST"} {
		if got := s.do(method, "EIO=4&transport=polling&sid="+c.session.ID(), ""); got.status != http.StatusBadRequest {
			t.Errorf("%s with its id: %d", method, got.status)
		}
	}
	c.session.Send(false, plainText("data: 4\n\n"))
	c.session.Close(engine.ForcedClose)
	if rest, err := io.ReadAll(e.response.Body); err != nil || !strings.HasSuffix(string(rest), "data: 4\n\n") {
		t.Errorf("read %q, %v", rest, err)
	}
	s.wantClosed(c, engine.ForcedClose)
	if got := metric(t, registry, "carillon_connections", "sse"); got != 0 {
		t.Errorf("connections %v", got)
	}
}

func TestStream_CommentsKeepItAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, beat)
		began := time.Now()
		e, c := s.stream()
		for i := range 10 {
			e.want(":\n\n")
			passed(t, "comment", began, time.Duration(25*i+22)*time.Second, time.Duration(25*i+25)*time.Second)
		}
		c.session.Close(engine.ForcedClose)
		e.wantEnd()
		s.wantClosed(c, engine.ForcedClose)
	})
}

func TestStream_Ends(t *testing.T) {
	for name, tt := range map[string]struct {
		end    func(*events, *client)
		reason engine.CloseReason
		seen   bool // by the client
	}{
		"closed":    {func(_ *events, c *client) { c.session.Close(engine.ForcedClose) }, engine.ForcedClose, true},
		"sent away": {func(_ *events, c *client) { c.session.SendAway(engine.ShuttingDown) }, engine.ShuttingDown, true},
		"drained":   {func(e *events, _ *client) { _ = e.Drain(context.Background(), 0) }, engine.ShuttingDown, true},
		"released":  {func(e *events, c *client) { e.Release(c.session.ID()); c.session.Close(engine.ForcedClose) }, engine.ForcedClose, true},
		"left":      {func(e *events, _ *client) { e.leave() }, engine.TransportClose, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, engine.Config{})
			e, c := s.stream()
			c.session.Send(false, plainText("data: 1\n\n"))
			e.want("data: 1\n\n")
			go tt.end(e, c)
			if tt.seen {
				e.wantEnd()
			}
			s.wantClosed(c, tt.reason)
			s.eventually("the session is gone", func() bool { return s.Sessions() == 0 })
		})
	}
}

func TestStream_SlowConsumerIsCut(t *testing.T) {
	s := start(t, engine.Config{Outbox: 1 << 20, OutboxHard: 1 << 20})
	_, c := s.stream()
	frame := plainText("data: " + strings.Repeat("x", 100_000) + "\n\n")
	for c.session.Send(false, frame) {
	}
	s.wantClosed(c, engine.SlowConsumer)
}

func TestStream_NeedsFlush(t *testing.T) {
	s := start(t, engine.Config{})
	hidden := struct{ http.ResponseWriter }{&discarding{header: http.Header{}}}
	s.ServeStream(hidden, &http.Request{Method: http.MethodGet, Header: http.Header{}, RemoteAddr: "127.0.0.1:1"}, s)
	s.wantClosed(<-s.opened, engine.TransportError)
}

type discarding struct {
	header http.Header
	bytes.Buffer
}

func (d *discarding) Header() http.Header { return d.header }
func (d *discarding) WriteHeader(int)     {}

func TestPlain_CompressedOut(t *testing.T) {
	s := start(t, engine.Config{CompressWebSocket: true})
	conn := s.raw("GET /plain HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Version: 13\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Extensions: permessage-deflate\n\n")
	c := <-s.opened
	data := strings.Repeat("4 is no packet type here. ", 100)
	c.session.Send(false, plainText(data))
	c.session.Close(engine.ForcedClose)
	_, got, _ := strings.Cut(readAll(t, conn), "\r\n\r\n")
	if len(got) < 4 || got[0] != '\xc1' || got[1] > 125 || !strings.HasSuffix(got, "\x88\x00") {
		t.Fatalf("frames %q", got)
	}
	inflated, err := io.ReadAll(flate.NewReader(strings.NewReader(got[2:2+got[1]] + "\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
	if err != nil || string(inflated) != data {
		t.Errorf("inflated %q, %v", inflated, err)
	}
}
