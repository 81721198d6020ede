package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/test/program"
)

// A node that may have few descriptors refuses clients before it has none left for its probes, Redis and the clients that
// are in, whatever the clients use theirs for.
func TestDescriptors_ANodeWithFewOfThemStaysAlive(t *testing.T) {
	t.Parallel()
	const descriptors, clients = 256, 250
	n := node{address: program.FreeAddress(t), ops: program.FreeAddress(t)}
	peers := program.FreeAddress(t)
	config := program.WriteFile(t, "gateway.yaml", fmt.Sprintf(
		"server: {address: %q}\nops: {address: %q}\npeer: {address: %q}\nredis: {url: %q}\ndrain: {delay: 0s, window: 0s}\n",
		n.address, n.ops, peers, startRedis(t)))
	n.Program = start(t, "gateway", "/bin/sh", "-c", fmt.Sprintf("ulimit -n %d; exec %q serve --config %q", descriptors, gatewayBinary, config))
	ready := func() bool { return program.Answers200("http://" + n.ops + "/readyz") }
	n.Await(ready)
	alive := func(when string) {
		t.Helper()
		for _, path := range []string{"/livez", "/readyz"} {
			if !program.Answers200("http://" + n.ops + path) {
				t.Fatalf("%s does not answer %s", path, when)
			}
		}
	}

	// Each client has a GET that waits and a connection that has carried a POST.
	var sids []string
	refused := 0
	for i := range clients {
		waiting := n.dial(t)
		status, body := waiting.ask("GET", "", "")
		alive(fmt.Sprintf("with %d clients", i))
		if status == http.StatusServiceUnavailable {
			refused++
			continue
		}
		if status != http.StatusOK {
			t.Fatalf("client %d: %d %s", i, status, body)
		}
		sid := strings.TrimPrefix(body, `0{"sid":"`)[:20]
		if status, body := n.dial(t).ask("POST", sid, "40"); status != http.StatusOK {
			t.Fatalf("client %d: POST %d %s", i, status, body)
		}
		waiting.ask("GET", sid, "") // the CONNECT's answer
		waiting.write("GET", sid, "")
		sids = append(sids, sid)
	}
	if len(sids) < descriptors/4 || refused == 0 {
		t.Errorf("%d clients were let in, %d refused", len(sids), refused)
	}
	for i := range descriptors {
		n.dial(t)
		if i%16 == 0 {
			alive(fmt.Sprintf("with %d silent connections", i))
		}
	}
	alive("with all connections")
	for _, address := range []string{n.ops, peers} {
		for range descriptors {
			(&httpConn{t: t, address: address}).connect()
		}
		alive("with silent connections at " + address)
	}
	if !strings.Contains(scrape(t, n.ops), "\ncarillon_redis_up 1\n") {
		t.Error("Redis is away")
	}
}

// httpConn is one connection to a node, for one request after the other.
type httpConn struct {
	t       *testing.T
	address string
	conn    net.Conn
	r       *bufio.Reader
}

func (n node) dial(t *testing.T) *httpConn {
	t.Helper()
	c := &httpConn{t: t, address: n.address}
	c.connect()
	return c
}

func (c *httpConn) connect() {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.address)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { conn.Close() })
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.t.Fatal(err)
	}
	c.conn, c.r = conn, bufio.NewReader(conn)
}

func (c *httpConn) write(method, sid, body string) {
	c.t.Helper()
	query := "EIO=4&transport=polling"
	if sid != "" {
		query += "&sid=" + sid
	}
	if _, err := fmt.Fprintf(c.conn, "%s /socket.io/?%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", method, query, len(body), body); err != nil {
		c.t.Fatal(err)
	}
}

// ask makes one request. Like every HTTP client it comes again on a new connection where the one it had was closed while it
// was idle.
func (c *httpConn) ask(method, sid, body string) (int, string) {
	c.t.Helper()
	c.write(method, sid, body)
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.connect()
		c.write(method, sid, body)
		response, err = http.ReadResponse(c.r, nil)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func scrape(t *testing.T, ops string) string {
	t.Helper()
	response, err := http.Get("http://" + ops + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
