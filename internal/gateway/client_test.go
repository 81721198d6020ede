package gateway_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
)

// client is one connection in the namespace "/".
type client struct {
	*socketiotest.Client
	t *testing.T
}

// connect opens a connection; base is http://… or https://….
func connect(t *testing.T, base string, security *tls.Config) client {
	t.Helper()
	return client{socketiotest.Dial(t, base, socketiotest.Options{TLS: security, Patience: time.Minute}), t}
}

// asks sends an event, and wants an answer that begins with prefix.
func (c client) asks(prefix, event string, args ...any) {
	c.t.Helper()
	if got := c.EmitWithAck(event, args...); !strings.HasPrefix(string(got.JSON), prefix) {
		c.t.Fatalf("%s was answered %s, want %s", event, got.JSON, prefix)
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
