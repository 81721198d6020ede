package engine_test

import (
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/gorilla/websocket"
)

func (s *server) parked(c *client) {
	s.t.Helper()
	if runtime.GOOS == "linux" {
		s.eventually("the connection is parked", func() bool { return engine.Parked(c.session) })
	}
}

// asleep waits until the connection is parked with nothing left but its descriptor. One that is parked while a write has not
// returned yet is put to sleep by that write.
func (s *server) asleep(c *client) {
	s.t.Helper()
	s.parked(c)
	s.eventually("the connection is asleep", func() bool { return engine.Asleep(c.session) })
}

func TestParking_IdleConnectionsHaveNoGoroutine(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // there a goroutine waits for each
	}
	const clients = 200
	s := start(t, engine.Config{}, echoing)
	var sockets []*socket
	var sessions []*client
	before := runtime.NumGoroutine()
	for range clients {
		ws, c := s.connect()
		sockets, sessions = append(sockets, ws), append(sessions, c)
	}
	for _, c := range sessions {
		s.parked(c)
	}
	s.eventually("all goroutines have ended", func() bool { return runtime.NumGoroutine() < before+clients/10 })
	for i, ws := range sockets {
		ws.text("4x")
		ws.want("4x")
		s.parked(sessions[i])
	}
}

// A parked connection is no more than its descriptor, with TLS too. Heartbeats and single messages do not change that.
func TestParking_AParkedConnectionSleeps(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	for name, s := range map[string]*server{
		"plain": start(t, engine.Config{}, echoing),
		"TLS":   startTLS(t, engine.Config{}, engine.Parkable, echoing),
	} {
		t.Run(name, func(t *testing.T) {
			ws, c := s.connect()
			for range 3 {
				s.asleep(c)
				ws.text("4x")
				ws.want("4x")
			}
			large := strings.Repeat("x", 900_000)
			ws.text("4" + large) // has to wait
			ws.want("4" + large)
			ws.text("4x")
			ws.want("4x")
			s.asleep(c)
			ws.text("4x")
			ws.want("4x")
			ws.Close()
			s.wantClosed(c, engine.TransportClose)
		})
	}
}

func TestParking_FrameArrivesByteByByte(t *testing.T) {
	s := start(t, engine.Config{})
	ws, c := s.connect()
	frame := "\x01\x82\x00\x00\x00\x004a" + "\x89\x81\x00\x00\x00\x00p" + "\x80\xfe\x00\x80\x00\x00\x00\x00" + strings.Repeat("b", 128)
	for i := range frame {
		s.parked(c)
		if _, err := ws.NetConn().Write([]byte{frame[i]}); err != nil {
			t.Fatal(err)
		}
	}
	s.wantMessage(c, "a"+strings.Repeat("b", 128), false)
}

// A client that does not pause keeps its reader, which can be interrupted like a parked connection.
func TestParking_BusyConnectionIsClosed(t *testing.T) {
	s := start(t, engine.Config{}, echoing)
	ws, c := s.connect()
	for range 1000 {
		ws.text("4x")
		ws.want("4x")
	}
	for range 1000 {
		ws.text("4x")
	}
	for range 1000 {
		ws.want("4x")
	}
	c.session.Close(engine.ForcedClose)
	ws.wantClose(1005)
	s.wantClosed(c, engine.ForcedClose)
}

func TestParking_WhatEndsAParkedConnection(t *testing.T) {
	for _, c := range []struct {
		name   string
		end    func(*server, *socket, *client)
		reason engine.CloseReason
	}{
		{"the client hangs up", func(_ *server, ws *socket, _ *client) { _ = ws.NetConn().Close() }, engine.TransportClose},
		{"a Close frame", func(_ *server, ws *socket, _ *client) {
			_ = ws.WriteControl(websocket.CloseMessage, nil, time.Now().Add(time.Minute))
		}, engine.TransportClose},
		{"garbage", func(_ *server, ws *socket, _ *client) { _, _ = io.WriteString(ws.NetConn(), "garbage") }, engine.TransportError},
		{"Session.Close", func(_ *server, _ *socket, c *client) { c.session.Close(engine.Limit) }, engine.Limit},
		{"a slow consumer", func(_ *server, _ *socket, c *client) { c.session.Close(engine.SlowConsumer) }, engine.SlowConsumer},
		{"Server.Close", func(s *server, _ *socket, _ *client) { s.Close() }, engine.ShuttingDown},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, engine.Config{})
			ws, client := s.connect()
			s.parked(client)
			answered := make(chan struct{})
			go func() { // so that the server does not wait for its Close frame to be answered
				defer close(answered)
				_, _, _ = ws.ReadMessage()
				ws.Close()
			}()
			c.end(s, ws, client)
			s.wantClosed(client, c.reason)
			<-answered
		})
	}
}

func TestParking_ConnectionsComeAndGo(t *testing.T) {
	s := start(t, engine.Config{}, echoing)
	for range 20 { // the parking opens and closes, and slots are reused
		var sockets []*socket
		for range 10 {
			ws, _ := s.connect()
			sockets = append(sockets, ws)
		}
		for i, ws := range sockets {
			ws.text("4x")
			ws.want("4x")
			if i%2 == 0 {
				ws.Close()
			}
		}
		for i, ws := range sockets {
			if i%2 == 1 {
				ws.text("4y")
				ws.want("4y")
				ws.Close()
			}
		}
		s.eventually("all have gone", func() bool { return s.Sessions() == 0 })
	}
}
