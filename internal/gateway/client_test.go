package gateway_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// client is one connection of Socket.IO over WebSocket, in the namespace "/".
type client struct {
	t    *testing.T
	conn *websocket.Conn
}

// connect opens a connection; base is http://… or https://….
func connect(t *testing.T, base string, security *tls.Config) *client {
	t.Helper()
	dialer := websocket.Dialer{TLSClientConfig: security, HandshakeTimeout: time.Minute}
	conn, response, err := dialer.Dial("ws"+strings.TrimPrefix(base, "http")+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close() // nothing is left in it
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	c := &client{t, conn}
	c.hears("0{")
	c.sends("40")
	c.hears("40{")
	return c
}

func (c *client) sends(packet string) {
	c.t.Helper()
	if err := c.conn.WriteMessage(websocket.TextMessage, []byte(packet)); err != nil {
		c.t.Fatal(err)
	}
}

// hears waits for a packet that begins with prefix.
func (c *client) hears(prefix string) {
	c.t.Helper()
	for {
		_, packet, err := c.conn.ReadMessage()
		if err != nil {
			c.t.Fatalf("before %s: %v", prefix, err)
		}
		if strings.HasPrefix(string(packet), prefix) {
			return
		}
	}
}

// ask makes one request and returns its status and headers.
func ask(t *testing.T, method, url string, headers ...string) *http.Response {
	t.Helper()
	response, _ := fetch(t, http.DefaultClient, method, url, "", headers...)
	return response
}

// knock opens a session over polling and, where it is let in, leaves at once.
func knock(t *testing.T, c *http.Client, base string, headers ...string) (response *http.Response, body string) {
	t.Helper()
	response, body = fetch(t, c, http.MethodGet, base+handshake, "", headers...)
	if _, sid, ok := strings.Cut(body, `{"sid":"`); ok {
		sid, _, _ = strings.Cut(sid, `"`)
		if left, _ := fetch(t, c, http.MethodPost, base+handshake+"&sid="+sid, "1"); left.StatusCode != http.StatusOK {
			t.Errorf("leaving: %s", left.Status)
		}
	}
	return response, body
}

func fetch(t *testing.T, c *http.Client, method, url, content string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(headers); n += 2 {
		r.Header.Set(headers[n], headers[n+1])
	}
	response, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}
