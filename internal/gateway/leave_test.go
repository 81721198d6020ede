package gateway_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

const pollingHandshake = "/socket.io/?EIO=4&transport=polling"

// leaveLimit is how long a node may take to leave beyond the drain's delay and window: the 5 s of Run, and the rest for machines
// that are busy with other work. A client that kept its node would keep it for a minute.
const leaveLimit = 30 * time.Second

// Clients of a node that leaves may be stuck in any state. It leaves cleanly and in time all the same.
func TestRun_StuckClientsDoNotKeepIt(t *testing.T) {
	t.Parallel()
	for name, stick := range map[string]func(t *testing.T, i *instance){
		"half a request head": func(t *testing.T, i *instance) { raw(t, i.address, "GET /socket.io/?EIO=4 HTTP/1.1\r\nHo") },
		"half a POST to nobody": func(t *testing.T, i *instance) {
			raw(t, i.address, "POST /elsewhere HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
		},
		"half a POST": func(t *testing.T, i *instance) {
			conn := raw(t, i.address, "POST "+pollingHandshake+"&sid="+open(t, i)+
				" HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n")
			if _, err := io.ReadFull(conn, make([]byte, len("HTTP/1.1 100 Continue"))); err != nil { // the body is being read
				t.Fatal(err)
			}
			_, _ = io.WriteString(conn, "4") // what comes of it is the node's business
		},
		"a polling session without a poll": func(t *testing.T, i *instance) { open(t, i) },
		"a poll": func(t *testing.T, i *instance) {
			raw(t, i.address, "GET "+pollingHandshake+"&sid="+open(t, i)+" HTTP/1.1\r\nHost: x\r\n\r\n")
		},
		"an upgrade in progress": func(t *testing.T, i *instance) {
			dial(t, i, "&sid="+open(t, i), "2probe")
		},
		"a WebSocket that does not answer a close": func(t *testing.T, i *instance) { dial(t, i, "") },
		"a request to the ops listener": func(t *testing.T, i *instance) {
			raw(t, strings.TrimPrefix(i.ops, "http://"), "GET /metrics HTTP/1.1\r\nHo")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := run(t, quick+"server: {header_timeout: 1m}\n")
			i.eventually(t, http.StatusOK, "")
			stick(t, i)
			began := time.Now()
			i.stop()
			if err := <-i.ended; err != nil {
				t.Errorf("Run: %v", err)
			}
			i.ended <- nil
			if took := time.Since(began); took >= leaveLimit {
				t.Errorf("left after %v", took)
			}
		})
	}
}

// open opens a polling session and returns its id.
func open(t *testing.T, i *instance) string {
	t.Helper()
	_, body := get(t, i.clients+pollingHandshake)
	_, rest, _ := strings.Cut(body, `"sid":"`)
	sid, _, found := strings.Cut(rest, `"`)
	if !found {
		t.Fatalf("handshake: %s", body)
	}
	return sid
}

// raw sends a part of a request, and keeps the connection.
func raw(t *testing.T, address, part string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, part); err != nil {
		t.Fatal(err)
	}
	return conn
}

// dial opens a WebSocket, says something, and never reads beyond the first answer.
func dial(t *testing.T, i *instance, query string, says ...string) {
	t.Helper()
	conn, response, err := websocket.DefaultDialer.Dial("ws://"+i.address+"/socket.io/?EIO=4&transport=websocket"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	t.Cleanup(func() { _ = conn.Close() })
	for _, text := range says {
		if err := conn.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := conn.ReadMessage(); err != nil {
		t.Fatal(err)
	}
}
