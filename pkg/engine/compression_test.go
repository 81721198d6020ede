package engine_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/gorilla/websocket"
)

var compressing = engine.Config{CompressWebSocket: true, EIO3: true}

const bothWays = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

func TestCompression_IsAgreedToAndUsedBothWays(t *testing.T) {
	s := start(t, compressing, echoing)
	long := strings.Repeat("all over again ", 5000)
	for _, query := range []string{"EIO=4&transport=websocket", "EIO=3&transport=websocket", "EIO=4&transport=websocket&b64=1"} {
		ws := s.ws(query)
		if got := ws.header.Get("Sec-WebSocket-Extensions"); got != bothWays {
			t.Errorf("Sec-WebSocket-Extensions: %q", got)
		}
		ws.read() // the open packet
		ws.text("4" + long)
		ws.want("4" + long)
		ws.text("4short")
		ws.want("4short")
	}
}

func TestCompression_OfAnUpgradedSession(t *testing.T) {
	s := start(t, compressing, echoing)
	p := s.poll()
	ws := p.probe()
	ws.text("5")
	long := strings.Repeat("all over again ", 5000)
	ws.binary(long)
	ws.wantBinary(long)
}

func TestCompression_IsNotAgreedTo(t *testing.T) {
	for name, c := range map[string]struct {
		config engine.Config
		offer  string
	}{
		"off":                 {engine.Config{}, "permessage-deflate"},
		"not offered":         {compressing, ""},
		"with a small window": {compressing, "permessage-deflate; server_max_window_bits=10"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, c.config)
			head := "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\n" +
				"Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Extensions: " + c.offer + "\n\n"
			conn := s.raw(head)
			if got := readUntil(t, conn, "\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 101 ") || strings.Contains(got, "Extensions") {
				t.Errorf("answer %q", got)
			}
			session := <-s.opened
			if _, err := io.WriteString(conn, "\xc1\x83\x00\x00\x00\x00\x02\x00\x00"); err != nil {
				t.Fatal(err)
			}
			s.wantClosed(session, engine.TransportError)
		})
	}
}

func TestCompression_WhatEndsASession(t *testing.T) {
	mask := "\x00\x00\x00\x00"
	for _, c := range []struct {
		name, frames string
		code         int
	}{
		{"compressed continuation", "\x01\x81" + mask + "4\xc0\x81" + mask + "x", 1002},
		{"compressed control frame", "\xc9\x80" + mask, 1002},
		{"another reserved bit", "\xa1\x81" + mask + "4", 1002},
		{"not deflate", "\xc1\x83" + mask + "\xff\xff\xff", 1007},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, compressing)
			ws, client := s.connect()
			ws.t = t
			if _, err := io.WriteString(ws.NetConn(), c.frames); err != nil {
				t.Fatal(err)
			}
			s.wantClosed(client, engine.TransportError)
			ws.wantClose(c.code)
		})
	}
}

func TestCompression_TheLimitHoldsForWhatIsInside(t *testing.T) {
	config := compressing
	config.MaxPayload = 10_000
	s := start(t, config)
	ws, c := s.connect()
	ws.text("4" + strings.Repeat("x", 9999))
	s.wantMessage(c, strings.Repeat("x", 9999), false)
	ws.text("4" + strings.Repeat("x", 1_000_000))
	s.wantClosed(c, engine.TransportError)
	ws.wantClose(1009)
}

func TestCompression_TextInsideIsChecked(t *testing.T) {
	s := start(t, compressing)
	ws, c := s.connect()
	ws.text("4" + strings.Repeat("\xff", 2000))
	s.wantClosed(c, engine.TransportError)
	ws.wantClose(1007)
}

func TestCompression_OfAMessageInFragments(t *testing.T) {
	s := start(t, compressing)
	ws, c := s.connect()
	w, err := ws.NextWriter(websocket.TextMessage)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("fragment ", 60_000)
	for _, part := range []string{"4", long} {
		if _, err := io.WriteString(w, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s.wantMessage(c, long, false)
}

func TestCompression_HeadersOfTheApplicationStay(t *testing.T) {
	config := compressing
	config.Headers = func(_ *http.Request, h http.Header) { h.Set("X-Test", "yes") }
	s := start(t, config)
	ws := s.ws("EIO=4&transport=websocket", "Sec-WebSocket-Protocol", "a, b")
	if ws.header.Get("X-Test") != "yes" || ws.header.Get("Sec-WebSocket-Protocol") != "a" {
		t.Errorf("headers %v", ws.header)
	}
}
