package engine_test

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// Wrappers of a ResponseWriter as middleware commonly has them.
type (
	bareWriter      struct{ http.ResponseWriter } // neither Flush, nor Hijack, nor Unwrap
	flushingWriter  struct{ bareWriter }
	hijackingWriter struct{ bareWriter }
	unwrappedWriter struct{ bareWriter }
)

func (w flushingWriter) Flush() { w.ResponseWriter.(http.Flusher).Flush() }
func (w hijackingWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.ResponseWriter.(http.Hijacker).Hijack()
}
func (w unwrappedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestMiddleware_OfEveryKindServesPollingAndWhatWebSocketsItCan(t *testing.T) {
	for _, c := range []struct {
		name      string
		wrap      func(bareWriter) http.ResponseWriter
		webSocket bool
	}{
		{"nothing but http.ResponseWriter", func(w bareWriter) http.ResponseWriter { return w }, false},
		{"Flush", func(w bareWriter) http.ResponseWriter { return flushingWriter{w} }, false},
		{"Hijack", func(w bareWriter) http.ResponseWriter { return hijackingWriter{w} }, true},
		{"Unwrap", func(w bareWriter) http.ResponseWriter { return unwrappedWriter{w} }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			core, logs := observer.New(zap.WarnLevel)
			s := start(t, engine.Config{Logger: zap.New(core)}, echoing)
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s.ServeHTTP(c.wrap(bareWriter{w}), r)
			}))
			defer front.Close()
			s.url = front.URL + "/engine.io/"

			p := s.poll()
			for range 3 {
				p.wantPosted("4hello")
				p.wantAnswer("GET", p.get(), 200, "4hello")
			}
			p.client.session.Close(engine.ForcedClose)
			p.wantAnswer("GET", p.get(), 200, "6\x1e1")
			s.wantClosed(p.client, engine.ForcedClose)

			if c.webSocket {
				ws, _ := s.connect()
				ws.text("4x")
				ws.want("4x")
			} else {
				for range 2 {
					if a := s.do("GET", "EIO=4&transport=websocket", "", upgradeHeaders()...); a.status != 500 {
						t.Errorf("upgrade: %d", a.status)
					}
				}
			}
			lines, want := logs.FilterMessageSnippet("no WebSocket is possible").Len(), 0
			if !c.webSocket {
				want = 1
			}
			if lines != want {
				t.Errorf("%d lines say that no WebSocket is possible, want %d: %v", lines, want, logs.All())
			}
		})
	}
}
