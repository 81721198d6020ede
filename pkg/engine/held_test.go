package engine_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/prometheus/client_golang/prometheus"
)

// within checks a gauge of memory against the heap's growth since before.
func within(t *testing.T, what string, gauge float64, before int) {
	t.Helper()
	held := float64(heap() - before)
	t.Logf("%s: %.0f bytes by the gauge, %.0f on the heap, %.2f times", what, gauge, held, held/gauge)
	if held > 1.5*gauge || held < gauge/1.5 {
		t.Errorf("%s: the gauge says %.0f bytes, the heap has grown by %.0f", what, gauge, held)
	}
}

// Outboxes count the memory of their frames, which for small messages is many times their bytes.
func TestHeld_OutboxesOfClientsThatDoNotPoll(t *testing.T) {
	for _, size := range []int{0, 4, 11, 100, 1000, 10_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			registry := prometheus.NewRegistry()
			s := start(t, engine.Config{Registry: registry})
			var pollers []poller
			for range 20 {
				pollers = append(pollers, s.poll())
			}
			data := strings.Repeat("x", size)
			before := heap()
			for _, p := range pollers {
				for engine.Waiting(p.session) < 1<<20-20_000 {
					p.session.Send(false, text(data))
				}
			}
			within(t, "outboxes", metric(t, registry, "carillon_outbox_bytes"), before)
			runtime.KeepAlive(pollers)
		})
	}
}

const hostile = 1000

// masked is the beginning of a client's frame of size bytes, of which sent bytes have arrived.
func masked(first byte, size, sent int) string {
	head := []byte{first, 0x80 | 127}
	head = binary.BigEndian.AppendUint64(head, uint64(size))
	head = append(head, 0, 0, 0, 0)
	return string(head) + strings.Repeat("x", sent)
}

func TestHeld_WhatHostileClientsSendAndDoNotFinish(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("readers that wait hold a buffer elsewhere")
	}
	for name, send := range map[string]string{
		"the head of a frame": "\x81",
		"half a frame":        masked(0x81, 100_000, 50_000),
		"half a message":      masked(0x01, 40_000, 40_000) + masked(0x00, 100_000, 10),
	} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			s := start(t, engine.Config{Registry: registry})
			conns := make([]net.Conn, hostile)
			for i := range conns {
				conns[i] = s.handshake()
			}
			handshakes := metric(t, registry, "carillon_inbound_bytes")
			before := heap()
			for _, conn := range conns {
				write(t, conn, send)
			}
			least := float64(hostile * max(len(send), 4096))
			s.eventually("all has arrived", func() bool { return metric(t, registry, "carillon_inbound_bytes")-handshakes >= least })
			within(t, name, metric(t, registry, "carillon_inbound_bytes")-handshakes, before)
			for _, conn := range conns {
				_ = conn.Close()
			}
			s.eventually("nothing is held", func() bool { return metric(t, registry, "carillon_inbound_bytes") == 0 })
		})
	}
}

func TestHeld_BodiesThatDoNotEnd(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := start(t, engine.Config{Registry: registry})
	conns := make([]net.Conn, hostile)
	for i := range conns {
		conns[i] = s.raw("POST /engine.io/?" + s.poll().query + " HTTP/1.1\nHost: x\nContent-Length: 100000\n\n4")
	}
	s.http.CloseIdleConnections()
	handshakes := func() float64 { return metric(t, registry, "carillon_inbound_bytes") }
	s.eventually("all have begun", func() bool { return handshakes() >= hostile*4096 })
	begun, before := handshakes(), heap()
	for _, conn := range conns {
		write(t, conn, strings.Repeat("x", 60_000))
	}
	s.eventually("all has arrived", func() bool { return handshakes() >= hostile*60_000 })
	within(t, "bodies", handshakes()-begun, before)
}

func TestHeld_HandshakesAreKept(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := start(t, engine.Config{})
	server, err := engine.New(silent{}, engine.Config{Registry: registry}) // the harness holds more for a session than this
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(server)
	t.Cleanup(front.Close)
	t.Cleanup(server.Close)
	s.url = front.URL + "/engine.io/"
	before := heap()
	headers := strings.Repeat("X-Long: "+strings.Repeat("y", 1000)+"\n", 15)
	for range hostile {
		s.handshake(headers)
	}
	within(t, "handshakes", metric(t, registry, "carillon_inbound_bytes"), before)
	conn := s.raw("GET /engine.io/?EIO=4&transport=polling HTTP/1.1\nHost: x\n" + headers + headers + "\n")
	if a := readResponse(t, conn); a.status != 431 {
		t.Errorf("a handshake of 30 KB: %d %s", a.status, a.body)
	}
}

// silent is a Handler, and a Receiver of what it receives.
type silent struct{}

func (silent) Open(*engine.Session) engine.Receiver { return silent{} }
func (silent) Message([]byte, bool)                 {}
func (silent) Closed(engine.CloseReason)            {}

// handshake opens a WebSocket session and takes its first packet off the connection.
func (s *server) handshake(headers ...string) net.Conn {
	s.t.Helper()
	conn := s.raw("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\n" +
		"Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n" + strings.Join(headers, "") + "\n")
	readUntil(s.t, conn, `"maxPayload":1000000}`)
	return conn
}

func TestSetLimits_TheLargestUnfinishedMessagesGoFirst(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := start(t, engine.Config{Registry: registry})
	s.SetLimits(engine.Limits{Inbound: 4 << 20})
	healthy, c := s.connect()
	small, large := s.handshake(), s.handshake()
	others := make([]net.Conn, 8)
	for i := range others {
		others[i] = s.handshake() // before the total is reached, when new sessions are refused
	}
	write(t, small, masked(0x81, 900_000, 10_000))
	write(t, large, masked(0x81, 900_000, 800_000))
	for _, conn := range others {
		write(t, conn, masked(0x81, 900_000, 500_000))
	}
	if got := readAll(t, large); got != "" {
		t.Errorf("read %q", got)
	}
	s.eventually("the total is kept", func() bool { return metric(t, registry, "carillon_inbound_bytes") <= 4<<20 })
	if got := metric(t, registry, "carillon_disconnects_total", "limit"); got == 0 || got > 4 {
		t.Errorf("%v sessions were ended", got)
	}
	healthy.text("4hello")
	s.wantMessage(c, "hello", false)
	write(t, small, strings.Repeat("x", 890_000)) // it may still finish
	s.eventually("the small one's message has arrived", func() bool { return metric(t, registry, "carillon_packets_total", "in,message") >= 1 })
}

// The rest of a refused body may take long to arrive, and the session may begin further POSTs meanwhile.
func TestHeld_BodiesThatAreRefusedAreNotKept(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := start(t, engine.Config{Registry: registry})
	p := s.poll()
	before := metric(t, registry, "carillon_inbound_bytes")
	const body = 1_000_001 // one more than the default of MaxPayload
	s.raw(fmt.Sprintf("POST /engine.io/?%s HTTP/1.1\nHost: x\nContent-Length: %d\n\n%s", p.query, 2*body, strings.Repeat("x", body)))
	s.eventually("it is refused", func() bool { return metric(t, registry, "carillon_bytes_total", "in,polling") >= body })
	if got := metric(t, registry, "carillon_inbound_bytes"); got != before {
		t.Errorf("%v bytes count for it", got-before)
	}
}

func TestHold_CountsUntilTheSessionEnds(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := start(t, engine.Config{Registry: registry})
	p := s.poll()
	handshake := metric(t, registry, "carillon_inbound_bytes")
	if handshake == 0 {
		t.Error("the handshake does not count")
	}
	s.SetLimits(engine.Limits{Inbound: int(handshake) + 1000})
	for _, step := range []struct {
		bytes int
		ok    bool
		held  float64
	}{{600, true, 600}, {600, false, 600}, {-500, true, 100}, {900, true, 1000}} {
		if ok := p.session.Hold(step.bytes); ok != step.ok {
			t.Errorf("hold %d: %t", step.bytes, ok)
		}
		if got := metric(t, registry, "carillon_inbound_bytes") - handshake; got != step.held {
			t.Errorf("hold %d: %v bytes count", step.bytes, got)
		}
	}
	if a := s.do("GET", "EIO=4&transport=polling", ""); a.status != 503 {
		t.Errorf("a session beyond the total: %d", a.status)
	}
	p.session.Close(engine.SlowConsumer)
	if p.session.Hold(1) {
		t.Error("held for a session that has ended")
	}
	if got := metric(t, registry, "carillon_inbound_bytes"); got != 0 {
		t.Errorf("%v bytes count after the end", got)
	}
}
