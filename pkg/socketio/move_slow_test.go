package socketio_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio"
)

// reserveBy claims a session at the first server for another one, by hand.
func (s *several) reserveBy(t *testing.T, c *returning) (token string, rooms []string) {
	t.Helper()
	request := fmt.Sprintf(`{"namespace":"/","pid":%q,"offset":%q}`, c.pid, c.offset)
	answer, err := http.Post(s.peers[1].urls["tag0"]+"/reserve", "application/json", strings.NewReader(request))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	const head = 16
	var reserved struct {
		Token string
		Rooms []string
	}
	if err != nil || len(text) < head || json.Unmarshal(text[head:], &reserved) != nil || reserved.Token == "" {
		t.Fatalf("reserve is answered %q, %v", text, err)
	}
	return reserved.Token, reserved.Rooms
}

// TestMove_APeerThatStopsReadingIsGivenUp, and the session stays.
func TestMove_APeerThatStopsReadingIsGivenUp(t *testing.T) {
	s := inMemory(t, 2, func(cfg *socketio.Config) { cfg.Recovery.MoveTimeout = time.Second })
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	const events = 100
	for range events { // more than the kernel takes for a connection
		emit(t, s.nodes[0].Of("/").To("a"), "large", strings.Repeat("x", 256<<10))
	}
	token, rooms := s.reserveBy(t, c)
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(over)
		body, _ := io.ReadAll(r.Body)
		s.nodes[0].ServePeer(w, r, "cut", body)
	}))
	t.Cleanup(server.Close)
	body, err := json.Marshal(map[string]any{"token": token, "held": rooms})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		t.Fatal(err)
	}
	receive(t, over)
	closed, recovered := c.tries(t, s.urls[0])
	if !recovered {
		t.Fatalf("not recovered, after %d tries", closed)
	}
	c.expectEvents(`["2"]`)
}

// TestMove_APeerThatReadsSlowlyGetsAll, although it takes longer than a step of a move may.
func TestMove_APeerThatReadsSlowlyGetsAll(t *testing.T) {
	const step = 2 * time.Second
	s := inMemory(t, 2, func(cfg *socketio.Config) { cfg.Recovery.MoveTimeout = step })
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	const events = 60
	for range events {
		emit(t, s.nodes[0].Of("/").To("a"), "large", strings.Repeat("x", 256<<10))
	}
	token, rooms := s.reserveBy(t, c)
	body, err := json.Marshal(map[string]any{"token": token, "held": rooms})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Post(s.peers[1].urls["tag0"]+"/cut", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	read := int64(0)
	for {
		n, err := io.CopyN(io.Discard, answer.Body, 1<<20)
		read += n
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("after %d bytes: %v", read, err)
		}
		time.Sleep(step / 10) // a reader's pace
	}
	if read < events<<18 {
		t.Errorf("%d bytes were handed over", read)
	}
}
