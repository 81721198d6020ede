package engine_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/test/await"
)

// raw opens a connection and writes head to it.
func (s *server) raw(head string) net.Conn {
	s.t.Helper()
	conn, err := s.dial(s.t.Context(), "tcp", strings.Split(s.url, "/")[2])
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, strings.ReplaceAll(head, "\n", "\r\n")); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

func write(t *testing.T, conn net.Conn, data string) {
	t.Helper()
	if _, err := io.WriteString(conn, data); err != nil {
		t.Fatal(err)
	}
}

// readAll reads what comes until the server hangs up.
func readAll(t *testing.T, conn net.Conn) string {
	t.Helper()
	var b bytes.Buffer
	_ = conn.SetReadDeadline(await.Deadline())
	if _, err := io.Copy(&b, conn); err != nil && b.Len() == 0 && !strings.Contains(err.Error(), "reset") {
		t.Errorf("read: %v", err)
	}
	return b.String()
}

// readUntil reads until what it has read ends in last.
func readUntil(t *testing.T, conn net.Conn, last string) string {
	t.Helper()
	_ = conn.SetReadDeadline(await.Deadline())
	var got []byte
	r := bufio.NewReader(conn)
	for !strings.HasSuffix(string(got), last) {
		b, err := r.ReadByte()
		if err != nil {
			t.Fatalf("read %q, then %v", got, err)
		}
		got = append(got, b)
	}
	return string(got)
}

func readResponse(t *testing.T, conn net.Conn) answer {
	t.Helper()
	_ = conn.SetReadDeadline(await.Deadline())
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// raw6455 opens a session without a WebSocket library.
func (s *server) raw6455() (net.Conn, *client) {
	s.t.Helper()
	conn := s.raw("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\n" +
		"Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n")
	readUntil(s.t, conn, `"maxPayload":1000000}`)
	return conn, <-s.opened
}
