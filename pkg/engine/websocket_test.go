package engine_test

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/gorilla/websocket"
)

func TestWebSocket_OpenPacketAndEcho(t *testing.T) {
	s := start(t, engine.Config{PingInterval: 300 * time.Millisecond, PingTimeout: 20 * time.Second}, echoing)
	ws := s.ws("EIO=4&transport=websocket")
	c := <-s.opened
	ws.want(`0{"sid":"` + c.session.ID() + `","upgrades":[],"pingInterval":300,"pingTimeout":20000,"maxPayload":1000000}`)
	ws.text("4€")
	ws.want("4€")
	ws.binary("\x01\x02\x03\x04")
	ws.wantBinary("\x01\x02\x03\x04")
	ws.text("bAQIDBA==")
	ws.wantBinary("\x01\x02\x03\x04")
	if c.session.Transport() != "websocket" || c.session.Revision() != 4 {
		t.Errorf("%s, revision %d", c.session.Transport(), c.session.Revision())
	}
}

func TestWebSocket_WithoutBinary(t *testing.T) {
	s := start(t, engine.Config{}, echoing)
	ws, _ := s.connect("EIO=4&transport=websocket&b64=1")
	ws.binary("\x01\x02\x03\x04")
	ws.want("bAQIDBA==")
}

func TestWebSocket_WhatEndsASession(t *testing.T) {
	frame := func(kind int, data string) func(*socket) {
		return func(w *socket) {
			if err := w.WriteMessage(kind, []byte(data)); err != nil {
				w.t.Error(err)
			}
		}
	}
	raw := func(data string) func(*socket) {
		return func(w *socket) {
			if _, err := io.WriteString(w.NetConn(), data); err != nil {
				w.t.Error(err)
			}
		}
	}
	for _, c := range []struct {
		name   string
		send   func(*socket)
		code   int
		reason engine.CloseReason
	}{
		{"empty text", frame(websocket.TextMessage, ""), 1005, engine.ParseError},
		{"unknown packet", frame(websocket.TextMessage, "9"), 1005, engine.ParseError},
		{"bad base64", frame(websocket.TextMessage, "b!"), 1005, engine.ParseError},
		{"ping", frame(websocket.TextMessage, "2"), 1005, engine.TransportError},
		{"close packet", frame(websocket.TextMessage, "1"), 1005, engine.TransportClose},
		{"not UTF-8", frame(websocket.TextMessage, "4\xff"), 1007, engine.TransportError},
		{"too large", frame(websocket.TextMessage, "4"+strings.Repeat("x", 1000)), 1009, engine.TransportError},
		{"too large binary", frame(websocket.BinaryMessage, strings.Repeat("x", 100_000)), 1009, engine.TransportError},
		{"Close frame", raw("\x88\x80\x00\x00\x00\x00"), 1005, engine.TransportClose},
		{"Close frame with a code", raw("\x88\x82\x00\x00\x00\x00\x03\xe9"), 1001, engine.TransportClose},
		{"unmasked frame", raw("\x81\x024x"), 1002, engine.TransportError},
		{"reserved bits", raw("\xf1\x82\x00\x00\x00\x004x"), 1002, engine.TransportError},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, engine.Config{MaxPayload: 1000})
			ws, client := s.connect()
			ws.t = t
			c.send(ws)
			s.wantClosed(client, c.reason)
			ws.wantClose(c.code)
		})
	}
}

func TestWebSocket_ConnectionLost(t *testing.T) {
	s := start(t, engine.Config{})
	ws, c := s.connect()
	ws.NetConn().Close()
	s.wantClosed(c, engine.TransportClose)
}

func TestWebSocket_IgnoredPacketsAndTheLimit(t *testing.T) {
	s := start(t, engine.Config{MaxPayload: 1000})
	ws, c := s.connect()
	for _, packet := range []string{"0", "3", "5", "6"} {
		ws.text(packet)
	}
	exact := strings.Repeat("x", 999)
	ws.text("4" + exact)
	ws.binary(exact + "y")
	ws.binary("")
	s.wantMessage(c, exact, false)
	s.wantMessage(c, exact+"y", true)
	s.wantMessage(c, "", true)
}

func TestWebSocket_TheSeparatorMeansNothing(t *testing.T) {
	s := start(t, engine.Config{})
	ws, c := s.connect()
	ws.text("4a\x1e4b")
	s.wantMessage(c, "a\x1e4b", false)
}

func TestWebSocket_FragmentsMakeOneMessage(t *testing.T) {
	s := start(t, engine.Config{})
	ws, c := s.connect()
	w, err := ws.NextWriter(websocket.TextMessage)
	if err != nil {
		t.Fatal(err)
	}
	long := "4" + strings.Repeat("fragment ", 20_000)
	if _, err := io.WriteString(w, long); err != nil { // larger than the client's buffer
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s.wantMessage(c, long[1:], false)
}

func TestWebSocket_AnswersWhatEndsItWithItsCode(t *testing.T) {
	const none = "\x00\x00\x00\x00" // the mask
	for sent, want := range map[string]string{
		"\x81\x024x":                "\x88\x02\x03\xea", // not masked: 1002
		"\x81\x82" + none + "4\xff": "\x88\x02\x03\xef", // not UTF-8: 1007
		"\x82\xff\x00\x00\x00\x00\x00\x0f\x42\x41" + none: "\x88\x02\x03\xf1", // too long: 1009
		"\x88\x80" + none:                     "\x88\x00",
		"\x88\x82" + none + "\x0f\xa0":        "\x88\x02\x0f\xa0", // 4000
		"\x8a\x80" + none + "\x88\x80" + none: "\x88\x00",         // an unasked pong means nothing
	} {
		s := start(t, engine.Config{})
		conn, client := s.raw6455()
		write(t, conn, "\x89\x81"+none+"p")
		readUntil(t, conn, "\x8a\x01p")
		write(t, conn, sent)
		if got := readAll(t, conn); got != want {
			t.Errorf("%q: answered %q, want %q", sent, got, want)
		}
		<-client.closed
	}
}

func TestWebSocket_CloseDeliversWhatIsQueuedFirst(t *testing.T) {
	s := start(t, engine.Config{Outbox: 8 << 20})
	ws, c := s.connect()
	// Input we never read must not make the kernel reset the connection and take the last messages with it.
	hold := make(chan struct{})
	c.hold = hold
	for range 20 {
		ws.text("4" + strings.Repeat("unread", 100))
	}
	big := strings.Repeat("x", 1<<20)
	c.session.Send(false, text(big), text("2"), bin("3"))
	c.session.Send(false, text("last"))
	c.session.Close(engine.ForcedClose)
	close(hold)
	ws.want("4" + big)
	ws.want("42")
	ws.wantBinary("3")
	ws.want("4last")
	ws.wantClose(1005)
	s.wantClosed(c, engine.ForcedClose)
}

func TestWebSocket_LargeMessageInsideOpen(t *testing.T) {
	large := strings.Repeat("x", 100_000)
	s := start(t, engine.Config{Outbox: 1000}, func(c *client) { c.session.Send(false, text(large)) })
	ws, _ := s.connect()
	ws.want("4" + large)
}

func TestWebSocket_CloseInsideOpen(t *testing.T) {
	s := start(t, engine.Config{}, func(c *client) {
		c.session.Send(false, text("bye"))
		c.session.Close(engine.Limit)
	})
	ws, c := s.connect()
	ws.want("4bye")
	ws.wantClose(1005)
	s.wantClosed(c, engine.Limit)
}

func TestSlowConsumer_IsCutOffAndBounded(t *testing.T) {
	const limit = 1 << 20
	s := start(t, engine.Config{Outbox: limit, OutboxHard: limit})
	ws, c := s.connect()
	if err := ws.NetConn().(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	frame := text(strings.Repeat("x", 10_000))
	sent := 0
	for c.session.Send(false, frame) {
		if n := engine.Waiting(c.session); n > limit {
			t.Fatalf("outbox holds %d bytes", n)
		}
		if sent++; sent > 100_000 {
			t.Fatal("never full")
		}
	}
	s.wantClosed(c, engine.SlowConsumer)
	if c.session.Send(false, frame) {
		t.Error("queued after the end")
	}
	for {
		if _, _, err := ws.ReadMessage(); err != nil {
			break
		}
	}
}

func TestSlowConsumer_OnPolling(t *testing.T) {
	s := start(t, engine.Config{Outbox: 100_000, OutboxHard: 100_000})
	p := s.poll()
	huge := text(strings.Repeat("x", 24<<20)) // one message always fits an empty outbox
	conn := s.raw("GET /engine.io/?" + p.query + " HTTP/1.1\nHost: x\n\n")
	s.eventually("a poll waits", func() bool { return engine.Polling(p.session) })
	if !p.session.Send(false, huge) {
		t.Fatal("a message larger than the outbox is refused")
	}
	if p.session.Send(false, text("more")) {
		t.Error("queued beyond what is being written")
	}
	s.wantClosed(p.client, engine.SlowConsumer)
	if got := readAll(t, conn); len(got) >= 24<<20 {
		t.Error("the answer was written to its end")
	}
}

func TestVolatile_IsDroppedForAClientThatIsBehind(t *testing.T) {
	s := start(t, engine.Config{Outbox: 100_000})
	p := s.poll()
	if !p.session.Send(true, text(strings.Repeat("x", 64<<10))) {
		t.Error("dropped although the outbox was empty")
	}
	if p.session.Send(true, text("x")) {
		t.Error("queued although 64 KiB wait")
	}
	if !p.session.Send(false, text("y")) {
		t.Error("an ordinary message is dropped")
	}
	if a := p.get(); !strings.HasSuffix(a.body, "\x1e4y") {
		t.Errorf("poll: %d bytes", len(a.body))
	}
	s.eventually("the server knows that it has been read", func() bool { return engine.Waiting(p.session) == 0 })
	if !p.session.Send(true, text(strings.Repeat("x", 60_000))) {
		t.Error("dropped although the outbox was empty")
	}
	if p.session.Send(true, text(strings.Repeat("x", 50_000))) {
		t.Error("queued beyond the outbox")
	}
	s.wantAnswer("still open", p.post("3"), 200, "ok")
}
