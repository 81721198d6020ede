package relay

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// echo answers an upgrade as an owner does and sends back what comes, with a first frame in the same write as the answer.
func echo(w http.ResponseWriter, _ *http.Request) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write(append([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), serverFrame(3)...))
	_, _ = io.Copy(conn, buffered)
}

const upgradeRequest = "GET /socket.io/?sid=" + sid + " HTTP/1.1\r\nHost: gw\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

// upgrade opens a WebSocket through a node, sending first together with the request.
func upgrade(t *testing.T, n *node, first []byte) (net.Conn, *bufio.Reader, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", n.clients.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(hang))
	if _, err := conn.Write(append([]byte(upgradeRequest), first...)); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn, reader, response
}

func expect(t *testing.T, r io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read %x, %v; want %x", got[:n], err, want)
	}
}

func TestRelay_WebSocketPassesBytesBothWays(t *testing.T) {
	relaying, _ := pair(t, echo)
	conn, reader, response := upgrade(t, relaying, []byte("early"))
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %d", response.StatusCode)
	}
	expect(t, reader, append(serverFrame(3), "early"...))
	for range 3 {
		_, sockets := relaying.relay.live.list()
		awaitParked(t, &sockets[0].fromClient, &sockets[0].fromOwner)
		if _, err := conn.Write([]byte("later")); err != nil {
			t.Fatal(err)
		}
		expect(t, reader, []byte("later"))
	}
	conn.Close()
	relaying.relay.live.wait()
	if got := testutil.ToFloat64(relaying.relay.metrics.bytes[toOwner]); got != 20 {
		t.Errorf("%v bytes to the owner; want 20", got)
	}
}

func TestRelay_WebSocketThatTheOwnerRefuses(t *testing.T) {
	relaying, _ := pair(t, unknownHere)
	_, _, response := upgrade(t, relaying, nil)
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusBadRequest || string(body) != unknown {
		t.Errorf("%d %q; want 400 %q", response.StatusCode, body, unknown)
	}
	relaying.count(t, resultUnknown)
}

// There is room for the refusal, where there is none for a WebSocket.
func TestRelay_AWebSocketThatHasNoRoomIsToldSo(t *testing.T) {
	owner := newNode(t, &directory{}, echo, nil)
	relaying := newNode(t, &directory{tag: "AAAA", owners: []string{owner.peers.URL}}, nil, func(c *Config) {
		c.Full = func(*http.Request) bool { return true }
	})
	_, _, response := upgrade(t, relaying, nil)
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" || !response.Close {
		t.Errorf("%s, Retry-After %q, close %t", response.Status, response.Header.Get("Retry-After"), response.Close)
	}
	relaying.count(t, resultOverload)
}

// An owner closes its side behind its last frame. A client that goes on sending meanwhile loses nothing of what it has not read.
func TestRelay_AnOwnerThatClosesLosesNothing(t *testing.T) {
	const size = 1 << 20
	relaying, _ := pair(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Write(append([]byte("HTTP/1.1 101 Switching Protocols\r\n\r\n"), make([]byte, size)...))
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, buffered)
	})
	conn, reader, _ := upgrade(t, relaying, nil)
	if _, err := io.CopyN(io.Discard, reader, size-1000); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(reader); err != nil || len(rest) != 1000 {
		t.Errorf("read %d bytes, %v; want 1000", len(rest), err)
	}
	conn.Close()
	relaying.relay.live.wait()
}
