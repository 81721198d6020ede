package wsconn

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/wsframe"
	"github.com/carillon-io/carillon/test/await"
	"go.uber.org/zap"
)

// server accepts one WebSocket, which echoes text.
type server struct {
	t        *testing.T
	acceptor *Acceptor
	owners   chan *echo
	counted  atomic.Int64 // inbound
	running  sync.WaitGroup
}

// echo is the simplest Owner.
type echo struct {
	server *server
	conn   *Conn
	ended  chan error // what Serve ended with
}

func (e *echo) Resume() { e.server.running.Go(e.serve) }

func (e *echo) serve() {
	if err := e.conn.Serve(); err != nil {
		e.conn.Linger(err)
		e.ended <- err
	}
}

func (e *echo) Receive(m wsframe.Message) bool {
	if string(m.Data) == "bye" {
		return false
	}
	_, err := e.conn.Write(Blocking, nil, []*frame.Frame{frame.NewPlain(m.Data, m.Opcode == wsframe.Binary, time.Time{})}, false)
	return err == nil
}

func (e *echo) OwePong(pong *frame.Frame) { _, _ = e.conn.Write(Blocking, pong, nil, false) }
func (e *echo) Progressed()               {}
func (e *echo) Kick()                     {}

func (e *echo) Farewell(code wsframe.CloseCode) []byte {
	return wsframe.AppendClose(nil, code, "")
}

// start returns a server, and the client's end of a WebSocket to it with what was read from it.
func start(t *testing.T) (*server, net.Conn, *bufio.Reader, *echo) {
	t.Helper()
	s := &server{t: t, owners: make(chan *echo, 1)}
	s.acceptor = NewAcceptor(Config{
		MaxPayload: 1 << 20, Inbound: func(bytes int) { s.counted.Add(int64(bytes)) }, Outbound: func(int) {},
		Spawn: s.running.Go, Logger: zap.NewNop(),
	})
	listening := httptest.NewServer(s)
	client, err := net.Dial("tcp", listening.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		listening.Close()
		s.running.Wait()
		if n := s.counted.Load(); n != 0 {
			t.Errorf("%d bytes are counted in the end", n)
		}
	})
	_ = client.SetDeadline(await.Deadline())
	_, _ = io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	reader := bufio.NewReader(client)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v, %v", answer, err)
	}
	return s, client, reader, <-s.owners
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn := &Conn{}
	if err := s.acceptor.Accept(conn, w, r, frame.Codec{}, FirstProtocol(r)); err != nil {
		s.t.Error(err)
		return
	}
	e := &echo{server: s, conn: conn, ended: make(chan error, 1)}
	conn.Carry(e)
	e.Resume()
	s.owners <- e
}

// masked is a client's frame, whose mask is all zeros.
func masked(first byte, payload string) []byte {
	return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}

func send(t *testing.T, client net.Conn, frames ...[]byte) {
	t.Helper()
	if _, err := client.Write(bytes.Join(frames, nil)); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("%q, %v, want %q", got[:n], err, want)
	}
}

// wantEnded waits for the end of the connection, whatever Serve ended with.
func (e *echo) wantEnded(t *testing.T) {
	t.Helper()
	if err := <-e.ended; err == nil {
		t.Error("ended without an error")
	}
}

func (e *echo) eventuallyParked(t *testing.T) {
	t.Helper()
	if runtime.GOOS == "linux" {
		await.True(t, "parked", e.conn.Parked)
	}
}

func TestConn_IsReadFromWheneverSomethingArrives(t *testing.T) {
	_, client, r, e := start(t)
	for range 2 * Busy { // parked between messages, then by a reader that stays
		send(t, client, masked(0x81, "hello"))
		expect(t, r, "\x81\x05hello")
	}
	send(t, client, masked(0x01, "a"), masked(0x89, "p"), masked(0x80, "b"))
	expect(t, r, "\x8a\x01p\x81\x02ab")
	send(t, client, masked(0x88, "\x03\xe8"))
	expect(t, r, "\x88\x02\x03\xe8")
	if err := <-e.ended; !errors.Is(err, wsframe.CloseCode(1000)) {
		t.Errorf("ended with %v", err)
	}
}

func TestConn_ParkedIsEndedGently(t *testing.T) {
	_, client, r, e := start(t)
	send(t, client, masked(0x81, "hello"))
	expect(t, r, "\x81\x05hello")
	e.eventuallyParked(t)
	e.conn.End()
	expect(t, r, "\x88\x00")
	if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("behind the Close frame: %v", err)
	}
	send(t, client, masked(0x81, "too late"))
	_ = client.Close()
	e.wantEnded(t)
	if !e.conn.CloseFrameWritten() || e.conn.MayQueue() {
		t.Error("the Close frame has not been noted")
	}
}

func TestConn_ParkedIsCut(t *testing.T) {
	_, client, r, e := start(t)
	send(t, client, masked(0x81, "hello"))
	expect(t, r, "\x81\x05hello")
	e.eventuallyParked(t)
	e.conn.Cut()
	if b, err := r.ReadByte(); err == nil {
		t.Errorf("read %#x, want no Close frame", b)
	}
	e.wantEnded(t)
}

func TestConn_WhatASessionRefusesIsClosedBehindWhatWasSaid(t *testing.T) {
	for name, c := range map[string]struct {
		sent []byte
		want string
	}{
		"a message that ends the session": {masked(0x81, "bye"), "\x88\x00"},
		"a frame without a mask":          {[]byte("\x81\x01x"), "\x88\x02\x03\xea"},
		"text that is not UTF-8":          {masked(0x81, "\xff"), "\x88\x02\x03\xef"},
	} {
		t.Run(name, func(t *testing.T) {
			_, client, r, e := start(t)
			send(t, client, masked(0x81, "hello"), c.sent)
			expect(t, r, "\x81\x05hello"+c.want)
			_ = client.Close()
			e.wantEnded(t)
		})
	}
}

func TestConn_CountsAMessageOfWhichAPartHasArrived(t *testing.T) {
	s, client, r, e := start(t)
	send(t, client, masked(0x01, "a part"))
	await.True(t, "counted", func() bool { return e.conn.Held() > 0 })
	if n := int(s.counted.Load()); n < len("a part") {
		t.Errorf("%d bytes are counted", n)
	}
	send(t, client, masked(0x80, ""))
	expect(t, r, "\x81\x06a part")
}

func TestHandshake_WhatARequestMustHave(t *testing.T) {
	for _, c := range []struct {
		key, version string
		valid, known bool
	}{
		{"dGhlIHNhbXBsZSBub25jZQ==", "13", true, true},
		{"dGhlIHNhbXBsZSBub25jZQ==", "8", true, true},
		{"dGhlIHNhbXBsZQ==", "7", false, false},
		{"", "", false, false},
		{"not base64", "13, 8", false, false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Sec-WebSocket-Key", c.key)
		r.Header.Set("Sec-WebSocket-Version", c.version)
		if ValidKey(r) != c.valid || KnownVersion(r) != c.known {
			t.Errorf("key %q, version %q: %v, %v", c.key, c.version, ValidKey(r), KnownVersion(r))
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Sec-WebSocket-Protocol", " one , two")
	if p := FirstProtocol(r); p != "one" {
		t.Errorf("protocol %q", p)
	}
}
