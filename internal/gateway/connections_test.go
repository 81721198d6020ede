package gateway_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/test/await"
)

// dial opens a connection to the clients' listener without a request.
func (i *instance) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", i.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(await.Deadline()); err != nil {
		t.Fatal(err)
	}
	return conn
}

// request sends one over a connection and returns the answer and its body.
func request(t *testing.T, conn net.Conn, query string) (*http.Response, string) {
	t.Helper()
	if _, err := io.WriteString(conn, "GET /socket.io/?EIO=4&transport=polling"+query+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
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

func wantEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes instead of the connection's end", n)
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
}

func TestConnections_SilentOnesCountAndTheNextHandshakeIsToldToComeAgain(t *testing.T) {
	t.Parallel()
	i := run(t, quick+"limits: {connections: 3}\n")
	for range 3 {
		i.dial(t)
	}
	i.metric(t, "carillon_client_connections 3")
	conn := i.dial(t)
	response, body := request(t, conn, "")
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" || !response.Close {
		t.Errorf("%s, Retry-After %q, close %t: %s", response.Status, response.Header.Get("Retry-After"), response.Close, body)
	}
	wantEnd(t, conn)
	i.metric(t, `carillon_handshakes_total{result="too many",transport="polling"} 1`)
	i.metric(t, "carillon_client_connections 3")
}

func TestConnections_AnIdleOneMakesRoom(t *testing.T) {
	t.Parallel()
	i := run(t, quick+"limits: {connections: 2}\n")
	first, second := i.dial(t), i.dial(t)
	for _, conn := range []net.Conn{first, second} {
		if response, body := request(t, conn, "&sid=unknown"); response.StatusCode != http.StatusBadRequest {
			t.Fatalf("%s: %s", response.Status, body)
		}
	}
	third := i.dial(t)
	if response, body := request(t, third, ""); response.StatusCode != http.StatusOK {
		t.Errorf("handshake: %s: %s", response.Status, body)
	}
	// One of them is closed; which one net/http called idle first, clients cannot tell.
	type read struct {
		conn net.Conn
		n    int
	}
	reads := make(chan read, 2)
	for _, conn := range []net.Conn{first, second} {
		go func() {
			n, _ := conn.Read(make([]byte, 1)) // 0 at the end
			reads <- read{conn, n}
		}()
	}
	ended, kept := <-reads, second
	if ended.conn == second {
		kept = first
	}
	if ended.n > 0 {
		t.Error("read something instead of a connection's end")
	}
	if _, err := io.WriteString(kept, "GET "+handshake+"&sid=unknown HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer := <-reads; answer.n == 0 {
		t.Error("the other idle one is closed as well")
	}
}

func TestConnections_OpenSessionsAreServedBeyondTheLimit(t *testing.T) {
	t.Parallel()
	i := run(t, quick+"limits: {connections: 1}\n")
	conn := i.dial(t)
	_, body := request(t, conn, "")
	sid := strings.TrimPrefix(body, `0{"sid":"`)[:20]
	waiting := i.dial(t)
	if _, err := io.WriteString(waiting, "GET /socket.io/?EIO=4&transport=polling&sid="+sid+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if response, body := fetch(t, http.DefaultClient, http.MethodPost, i.clients+handshake+"&sid="+sid, "40"); response.StatusCode != http.StatusOK {
		t.Errorf("POST: %s %s", response.Status, body)
	}
	if response, err := http.ReadResponse(bufio.NewReader(waiting), nil); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("GET: %v %v", response, err)
	}
}

func TestConnections_FarBeyondTheLimitTheyAreClosedAtOnce(t *testing.T) {
	t.Parallel()
	i := run(t, quick+"limits: {connections: 1}\n")
	const slack = 32
	for range 1 + slack {
		i.dial(t)
	}
	i.metric(t, "carillon_client_connections 33")
	wantEnd(t, i.dial(t))
	i.metric(t, `carillon_limited_total{limit="connections"} 1`)
	i.metric(t, "carillon_client_connections 33")
	if code, _ := get(t, i.ops+"/livez"); code != http.StatusOK {
		t.Errorf("/livez: %d", code)
	}
}

func TestConnections_AreCountedUntilTheyAreClosed(t *testing.T) {
	t.Parallel()
	cert, key := newCertificate(t, "one")
	plain := run(t, answering("yes", ""))
	secure, _, _ := encrypted(t, cert, key)
	for _, c := range []client{connect(t, plain.clients, nil), connect(t, secure.clients, trusting(cert))} {
		c.asks(`["yes"]`, "ping")
		c.Close()
	}
	plain.metric(t, "carillon_client_connections 0")
	secure.metric(t, "carillon_client_connections 0")
}

// A WebSocket keeps nothing but its descriptor while it waits: its connection counts all the same.
func TestConnections_AWebSocketCountsUntilItIsClosed(t *testing.T) {
	t.Parallel()
	i := run(t, quick)
	for range 3 {
		conn := i.dial(t)
		if _, err := io.WriteString(conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"+
			"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(conn)
		for _, message := range []string{"", "\x81\x82\x00\x00\x00\x0040"} {
			if _, err := io.WriteString(conn, message); err != nil {
				t.Fatal(err)
			}
			if _, err := r.ReadString('}'); err != nil {
				t.Fatal(err)
			}
		}
		i.metric(t, "carillon_client_connections 1")
		_ = conn.Close()
		i.metric(t, "carillon_client_connections 0")
	}
}
