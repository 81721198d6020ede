package engine_test

import (
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
)

// quietly opens a WebSocket session whose client allocates nothing.
func (s *server) quietly() (net.Conn, *engine.Session) {
	s.t.Helper()
	conn := s.raw("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\n" +
		"Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n")
	readUntil(s.t, conn, `"maxPayload":1000000}`)
	return conn, (<-s.opened).session
}

// exchange returns what writes a frame to a connection and reads one of this size.
func exchange(t *testing.T, conn net.Conn, frame string, size int) func() {
	out, in := []byte(frame), make([]byte, size)
	return func() {
		if _, err := conn.Write(out); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, in); err != nil {
			t.Fatal(err)
		}
	}
}

// A message of an idle client wakes a reader, which parks the connection again.
func TestParking_WakingAllocatesLittle(t *testing.T) {
	s := start(t, engine.Config{}, echoing)
	conn, session := s.quietly()
	once := exchange(t, conn, "\x81\x82\x00\x00\x00\x004x", len("\x81\x024x"))
	const limit = 5                        // two of them are the answer
	n := testing.AllocsPerRun(10, func() { // a few more, and it is no idle connection any more
		once()
		for runtime.GOOS == "linux" && !engine.Parked(session) {
			runtime.Gosched()
		}
	})
	if n > limit && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}

func TestHeartbeat_ABeatAllocatesNothing(t *testing.T) {
	s := start(t, engine.Config{PingInterval: time.Millisecond})
	conn, _ := s.quietly()
	if _, err := io.ReadFull(conn, make([]byte, len("\x81\x012"))); err != nil {
		t.Fatal(err)
	}
	beat := exchange(t, conn, "\x81\x81\x00\x00\x00\x003", len("\x81\x012"))
	for range 20 {
		beat() // until the reader stays
	}
	if n := testing.AllocsPerRun(100, beat); n > 0 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}
