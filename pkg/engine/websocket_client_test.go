package engine_test

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// socket is one WebSocket client.
type socket struct {
	*websocket.Conn
	t      *testing.T
	header http.Header
}

// tcp is what the client has below TLS.
func (w *socket) tcp() *net.TCPConn {
	conn := w.NetConn()
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn()
	}
	return conn.(*net.TCPConn)
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
