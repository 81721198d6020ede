package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestOnRefusal_ReportsEveryRefusedRequest(t *testing.T) {
	log, entries := observer.New(zap.DebugLevel)
	refusals := make(chan engine.Refusal, 1)
	s := start(t, engine.Config{
		Logger: zap.New(log),
		Check: func(r *http.Request) *engine.Refusal {
			if r.Header.Get("Origin") == "https://evil.example" {
				return &engine.Refusal{Status: 403, Code: 4, Message: "Forbidden", Cause: "an origin"}
			}
			return nil
		},
		OnRefusal: func(_ *http.Request, refusal engine.Refusal) { refusals <- refusal },
	})
	p := s.poll()
	upgraded := s.poll()
	upgraded.probe().text("5")
	s.eventually("the upgrade is done", func() bool { return upgraded.session.Transport() == "websocket" })
	for _, c := range []struct {
		name, method, query string
		header              []string
		code                int
		message, cause      string
	}{
		{"transport", "GET", "EIO=4&transport=pigeon", nil, 0, "Transport unknown", `transport "pigeon"`},
		{"a long transport", "GET", "EIO=4&transport=" + strings.Repeat("x", 100), nil, 0, "Transport unknown",
			`transport "` + strings.Repeat("x", 64) + `..."`},
		{"session", "GET", "EIO=4&transport=polling&sid=none", nil, 1, "Session ID unknown", `sid "none"`},
		{"method", "PUT", "EIO=4&transport=polling", nil, 2, "Bad handshake method", "method PUT"},
		{"no upgrade", "GET", "EIO=4&transport=websocket", nil, 3, "Bad request", "a WebSocket was named and none asked for"},
		{"origin", "GET", "EIO=4&transport=polling", []string{"Origin", "https://evil.example"}, 4, "Forbidden", "an origin"},
		{"revision", "GET", "EIO=3&transport=polling", nil, 5, "Unsupported protocol version", "revision 3, which is off"},
		{"another revision", "GET", "EIO=3&transport=polling&sid=" + p.session.ID(), nil, 3, "Bad request",
			"a session of another protocol revision"},
		{"after an upgrade", "GET", upgraded.query, nil, 3, "Bad request", "the session has left polling for a WebSocket"},
		{"key", "GET", "EIO=4&transport=websocket", []string{"Connection", "upgrade", "Upgrade", "websocket"}, 3,
			"Missing or invalid Sec-WebSocket-Key header", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.do(c.method, c.query, "", c.header...)
			got := <-refusals
			if got.Code != c.code || got.Message != c.message || got.Cause != c.cause {
				t.Errorf("got %+v", got)
			}
			lines := entries.TakeAll()
			if len(lines) != 1 {
				t.Fatalf("%d lines", len(lines))
			}
			fields := lines[0].ContextMap()
			if lines[0].Message != "request refused" || fields["address"] != "127.0.0.1" || fields["code"] != int64(c.code) || fields["cause"] != c.cause {
				t.Errorf("logged %v", fields)
			}
		})
	}
}

func TestLog_EveryEndOfASessionHasItsCause(t *testing.T) {
	log, entries := observer.New(zap.DebugLevel)
	s := start(t, engine.Config{Logger: zap.New(log)})
	for _, c := range []struct {
		name          string
		end           func() *client
		reason, cause string
	}{
		{"left", func() *client { p := s.poll(); p.post("1"); return p.client }, "transport close", "the client sent a close packet"},
		{"malformed", func() *client { p := s.poll(); p.post("x"); return p.client }, "parse error", "malformed"},
		{"a second poll", func() *client {
			p := s.poll()
			p.getWaiting()
			p.get()
			return p.client
		}, "transport error", "a GET while another waits"},
		{"slow", func() *client {
			p := s.poll()
			for p.session.Send(false, text(strings.Repeat("x", 600_000))) {
			}
			return p.client
		}, "slow consumer", "outbox"},
		{"frames", func() *client {
			ws, c := s.connect()
			write(t, ws.NetConn(), "\xff\xff")
			return c
		}, "transport error", "malformed WebSocket frame"},
		{"hang up", func() *client {
			ws, c := s.connect()
			ws.NetConn().Close()
			return c
		}, "transport close", "EOF"},
		{"application", func() *client {
			ws, c := s.connect()
			c.session.Close(engine.Limit)
			ws.wantClose(1005)
			ws.Close()
			return c
		}, "limit", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ended := c.end()
			for len(s.opened) > 0 {
				<-s.opened
			}
			<-ended.closed
			lines := entries.TakeAll()
			if len(lines) != 1 {
				t.Fatalf("%d lines", len(lines))
			}
			fields := lines[0].ContextMap()
			if lines[0].Message != "session ended" || fields["sid"] != ended.session.ID() || fields["address"] != "127.0.0.1" || fields["reason"] != c.reason ||
				!strings.Contains(fmt.Sprint(fields["cause"]), c.cause) {
				t.Errorf("logged %v", fields)
			}
		})
	}
}

func TestLog_EndsForALimitAreWarningsOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, entries := observer.New(zap.WarnLevel)
		s := startInBubble(t, engine.Config{Logger: zap.New(log)})
		for minute := range 3 {
			for _, reason := range []engine.CloseReason{engine.SlowConsumer, engine.SlowConsumer, engine.Limit, engine.ForcedClose} {
				p := s.poll()
				p.session.Close(reason)
				p.get()
				s.wantClosed(p.client, reason)
			}
			if n := entries.Len(); n != 2*(minute+1) {
				t.Errorf("%d warnings in minute %d", n, minute)
			}
			time.Sleep(time.Minute)
		}
	})
}

type contextKey struct{}

func TestContext_HasTheRequestsValuesAndTheSessionsLife(t *testing.T) {
	s := start(t, engine.Config{})
	middleware := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Server.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, "user 7")))
	})
	front := httptest.NewServer(middleware)
	t.Cleanup(front.Close)
	s.url = front.URL + "/engine.io/"
	for _, connect := range []func() *client{
		func() *client { return s.poll().client },
		func() *client { _, c := s.connect(); return c },
	} {
		c := connect()
		ctx := c.session.Context()
		if got := ctx.Value(contextKey{}); got != "user 7" {
			t.Errorf("value %v", got)
		}
		derived, cancel := context.WithTimeout(ctx, time.Minute)
		if ctx.Err() != nil || derived.Err() != nil {
			t.Errorf("ended with the request: %v", ctx.Err())
		}
		c.session.Close(engine.SlowConsumer)
		<-derived.Done()
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("after the end: %v", ctx.Err())
		}
		cancel()
	}
}

func TestContext_KeepsWhatTheConfigurationSays(t *testing.T) {
	s := start(t, engine.Config{Context: func(r *http.Request) context.Context {
		return context.WithValue(context.Background(), contextKey{}, r.Header.Get("X-User"))
	}})
	s.do("GET", "EIO=4&transport=polling", "", "X-User", "9")
	if got := (<-s.opened).session.Context().Value(contextKey{}); got != "9" {
		t.Errorf("value %v", got)
	}
}
