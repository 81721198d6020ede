package engine_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/test/await"
	"github.com/prometheus/client_golang/prometheus"
)

// narrow opens a session on a connection whose kernel takes little, so that most of what is sent waits on our side.
func (s *server) narrow() (*net.TCPConn, *client) {
	s.t.Helper()
	conn, c := s.raw6455()
	if err := conn.(*net.TCPConn).SetReadBuffer(16 << 10); err != nil {
		s.t.Fatal(err)
	}
	return conn.(*net.TCPConn), c
}

// A client may send at any time, and does not know yet that we have closed. None of it makes the kernel reset the
// connection, which would destroy what the client has not read.
func TestClose_WhatComesAfterOurCloseFrameDestroysNothing(t *testing.T) {
	const mask = "\x00\x00\x00\x00"
	for name, late := range map[string]string{
		"nothing":         "",
		"ping":            "\x89\x82" + mask + "hi",
		"unasked pong":    "\x8a\x80" + mask,
		"message":         "\x81\x82" + mask + "4x",
		"half a message":  "\x01\x82" + mask + "4x",
		"pong packet":     "\x81\x81" + mask + "3",
		"many pings":      strings.Repeat("\x89\x82"+mask+"hi", 1000),
		"malformed frame": "\x81\x02hi",
		"large message":   "\x82\xff\x00\x00\x00\x00\x00\x03\x0d\x40" + mask + strings.Repeat("x", 200_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, engine.Config{})
			conn, c := s.narrow()
			const messages, size = 20, 5000
			for range messages {
				c.session.Send(false, text(strings.Repeat("x", size)))
			}
			c.session.Close(engine.ForcedClose)
			s.eventually("the Close frame is written", func() bool { return engine.CloseFrameSent(c.session) })
			write(t, conn, late)
			got := readAll(t, conn)
			_ = conn.Close()
			if want := messages*(4+1+size) + 2; len(got) != want || !strings.HasSuffix(got, "\x88\x00") {
				t.Errorf("read %d bytes, want %d and a Close frame at the end", len(got), want)
			}
			s.wantClosed(c, engine.ForcedClose)
		})
	}
}

// A Receiver that is busy keeps neither the connection nor what the kernel holds of it.
func TestCut_DoesNotWaitForAReceiver(t *testing.T) {
	hold := make(chan struct{})
	s := start(t, engine.Config{}, func(c *client) { c.hold = hold })
	conn, c := s.raw6455()
	write(t, conn, "\x81\x82\x00\x00\x00\x004x")
	s.eventually("the receiver is busy", func() bool { return engine.Blocked(c.session) })
	c.session.Close(engine.SlowConsumer)
	_ = conn.SetReadDeadline(await.Deadline())
	if _, err := io.Copy(io.Discard, conn); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Errorf("not cut while the receiver is busy: %v", err)
	}
	close(hold)
	s.wantClosed(c, engine.SlowConsumer)
}

// A client behind a slow line takes more time than closing otherwise has. It gets all of it as long as it makes progress.
func TestClose_LastsAsLongAsTheClientMakesProgress(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	t.Parallel()
	const stall = time.Second
	s := start(t, engine.Config{Outbox: 8 << 20})
	engine.SetPatience(s.Server, stall)
	conn, c := s.raw6455()
	if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	const size = 3 << 20
	c.session.Send(false, bin(strings.Repeat("x", size)))
	c.session.Close(engine.ForcedClose)
	began, got, buffer := time.Now(), 0, make([]byte, size/300)
	for {
		_ = conn.SetReadDeadline(await.Deadline())
		n, err := conn.Read(buffer)
		got += n
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("read: %v", err)
			}
			break
		}
		time.Sleep(10 * time.Millisecond) // the line's speed
	}
	if want := 10 + size + 2; got != want {
		t.Errorf("read %d bytes of %d", got, want)
	}
	if d := time.Since(began); d < 2*stall {
		t.Errorf("took %v, which shows nothing", d)
	}
	s.wantClosed(c, engine.ForcedClose)
}

// One that takes nothing is cut after that time.
func TestClose_OfAClientThatTakesNothing(t *testing.T) {
	s := start(t, engine.Config{Outbox: 8 << 20})
	engine.SetPatience(s.Server, 50*time.Millisecond)
	_, c := s.narrow()
	c.session.Send(false, bin(strings.Repeat("x", 3<<20)))
	c.session.Close(engine.ForcedClose)
	s.wantClosed(c, engine.ForcedClose)
}

// An answer that the client was not there to take is lost, and counted.
func TestPoll_AnAnswerNobodyWaitsForIsCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := start(t, engine.Config{Registry: registry})
	p := s.poll()
	p.session.Send(false, text("one"), text("two"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/engine.io/?"+p.query, nil))
	s.wantClosed(p.client, engine.TransportError)
	if n := metric(t, registry, "carillon_dropped_total", "failed"); n != 2 || w.Body.Len() > 0 {
		t.Errorf("%v messages are counted as lost, body %q", n, w.Body)
	}
}

func TestDrain_ReturnsAlthoughAReceiverBlocks(t *testing.T) {
	for name, window := range map[string]time.Duration{"while it closes": time.Hour, "while it waits": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hold := make(chan struct{})
			s := start(t, engine.Config{}, func(c *client) { c.hold = hold })
			var clients []*client
			for range 2 {
				ws, c := s.connect()
				ws.text("4x")
				s.eventually("the receiver is busy", func() bool { return engine.Blocked(c.session) })
				clients = append(clients, c)
			}
			ctx, cancel := context.WithCancel(t.Context())
			drained := make(chan error, 1)
			go func() { drained <- s.Drain(ctx, window) }()
			cancel()
			select {
			case err := <-drained:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
			case <-time.After(time.Minute):
				t.Error("did not return")
			}
			close(hold)
			for _, c := range clients {
				s.wantClosed(c, engine.ShuttingDown)
			}
		})
	}
}

func TestPost_ABodyHasThirtySeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, engine.Config{PingInterval: time.Hour})
		p := s.poll()
		conn := s.raw("POST /engine.io/?" + p.query + " HTTP/1.1\nHost: x\nContent-Length: 100\n\n4x")
		defer conn.Close()
		began := time.Now()
		s.wantClosed(p.client, engine.TransportError)
		passed(t, "end", began, 30*time.Second, 30*time.Second)
	})
}

// The deadline of a body is not one for what its packets take.
func TestPost_AReceiverMayTakeLongerThanABody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		s := startInBubble(t, engine.Config{}, func(c *client) { c.hold = hold })
		p := s.poll()
		posted := make(chan answer, 1)
		go func() { posted <- p.post("4x") }()
		synctest.Wait()
		time.Sleep(35 * time.Second)
		close(hold)
		p.wantAnswer("POST", <-posted, 200, "ok")
		s.wantMessage(p.client, "x", false)
	})
}

// Clients that are sent away come back: python-socketio stays away after a close packet, others after a Close frame without a code.
func TestSession_SentAwayHasNoClosePacket(t *testing.T) {
	s := start(t, engine.Config{})
	waits, queued := s.poll(), s.poll()
	waiting := waits.getWaiting()
	queued.session.Send(false, text("last"))
	ws, c := s.connect()
	for _, session := range []*engine.Session{waits.session, queued.session, c.session} {
		session.SendAway(engine.Limit)
	}
	s.wantAnswer("a GET that waits", <-waiting, 200, "6")
	s.wantAnswer("what is queued", queued.get(), 200, "4last")
	ws.wantClose(1001)
	for _, p := range []poller{waits, queued} {
		s.wantClosed(p.client, engine.Limit)
		s.wantAnswer("the next GET", p.get(), 400, `{"code":1,"message":"Session ID unknown"}`)
	}
	s.wantClosed(c, engine.Limit)
}

// The Java client, which is built on OkHttp, does not notice a Close frame, but the end of the connection.
func TestSession_AClientOfOkHTTPIsSentAwayWithoutACloseFrame(t *testing.T) {
	for name, serve := range map[string]func(*testing.T) *server{
		"plain": func(t *testing.T) *server { return start(t, engine.Config{}) },
		"TLS":   func(t *testing.T) *server { return startTLS(t, engine.Config{}, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			ws := s.ws("EIO=4&transport=websocket", "User-Agent", "okhttp/3.12.12")
			c := <-s.opened
			ws.read() // the open packet
			c.session.Send(false, text("last"))
			c.session.SendAway(engine.ShuttingDown)
			ws.want("4last")
			ws.wantClose(1006)
			s.wantClosed(c, engine.ShuttingDown)

			ws = s.ws("EIO=4&transport=websocket", "User-Agent", "okhttp/3.12.12")
			c = <-s.opened
			ws.read()
			c.session.Close(engine.ForcedClose)
			ws.wantClose(1005)
		})
	}
}
