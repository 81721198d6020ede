package engine_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
)

// Connections that have come and gone leave no memory behind; that they leave no goroutine is checked for the package.
func TestChurn_LeavesNothingBehind(t *testing.T) {
	const round = 500
	s := start(t, engine.Config{})
	address := strings.Split(s.url, "/")[2]
	request := strings.ReplaceAll("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\n"+
		"Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n", "\n", "\r\n")
	comeAndGo := func() {
		for range round {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, request); err != nil {
				t.Fatal(err)
			}
			readUntil(t, conn, `"maxPayload":1000000}`)
			if _, err := io.WriteString(conn, "\x81\x82\x00\x00\x00\x004x"); err != nil {
				t.Fatal(err)
			}
			s.wantMessage(<-s.opened, "x", false)
			if err := conn.Close(); err != nil {
				t.Fatal(err)
			}
		}
		s.eventually("all have gone", func() bool { return s.Sessions() == 0 })
	}
	comeAndGo()
	first := heap()
	for range 3 {
		comeAndGo()
	}
	const each = 50 // bytes; a session alone is several hundred
	s.eventually("memory is as it was", func() bool { return heap()-first < 3*round*each })
}
