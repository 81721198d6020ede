package engine_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"
)

func TestDrain_ClosesEvenlyOverTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const clients, window = 10, 10 * time.Second
		s := startInBubble(t, engine.Config{})
		began := time.Now()
		ends := make(chan time.Duration, clients)
		for range clients {
			ws, c := s.connect()
			c.session.Send(false, text("last"))
			go func() {
				ws.want("4last")
				ws.wantClose(1001)
				ends <- time.Since(began)
			}()
		}
		if err := s.Drain(t.Context(), window); err != nil {
			t.Error(err)
		}
		for i := range clients {
			if at := <-ends; at < window*time.Duration(i)/clients {
				t.Errorf("end %d already after %v", i, at)
			}
		}
		if n := s.Sessions(); n != 0 {
			t.Errorf("%d sessions", n)
		}
		if a := s.do("GET", "EIO=4&transport=polling", ""); a.status != 503 {
			t.Errorf("handshake: %d", a.status)
		}
	})
}

// A client that is drained comes back by itself: none of the endings by which clients know a disconnect that is meant.
func TestDrain_EndsPollingWithoutAClosePacket(t *testing.T) {
	for _, query := range []string{"EIO=4&transport=polling", "EIO=3&transport=polling"} {
		s := start(t, withEIO3)
		waits, queued, meant := s.poll(query), s.poll(query), s.poll(query)
		one := func(packet string) string {
			if query[4] == '3' {
				return strconv.Itoa(len(packet)) + ":" + packet
			}
			return packet
		}
		waiting := waits.getWaiting()
		queued.session.Send(false, text("last"))
		meant.session.Close(engine.ForcedClose)
		drained := make(chan error, 1)
		go func() { drained <- s.Drain(t.Context(), 0) }()
		s.wantAnswer("a GET that waits", <-waiting, 200, one("6"))
		s.wantAnswer("what is queued", queued.get(), 200, one("4last"))
		if a := meant.get(); !strings.HasSuffix(a.body, one("1")) {
			t.Errorf("a disconnect that is meant: %q", a.body)
		}
		for _, p := range []poller{waits, queued} {
			s.wantClosed(p.client, engine.ShuttingDown)
			s.wantAnswer("the next GET", p.get(), 400, `{"code":1,"message":"Session ID unknown"}`)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
	}
}

func TestDrain_CutEndsPollingWithoutAClosePacket(t *testing.T) {
	s := start(t, engine.Config{})
	var polls []poller
	var waiting []<-chan answer
	for range 2 { // one is sent away at once, the other cut
		p := s.poll()
		polls, waiting = append(polls, p), append(waiting, p.getWaiting())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Drain(ctx, time.Hour); err == nil {
		t.Error("no error")
	}
	for i, p := range polls {
		s.wantAnswer("a GET that waits", <-waiting[i], 200, "6")
		s.wantClosed(p.client, engine.ShuttingDown)
	}
}

// A session that is disconnected on purpose during a drain keeps the ending that says so.
func TestDrain_LeavesOtherEndingsAsTheyAre(t *testing.T) {
	s := start(t, engine.Config{})
	type ended struct{ which, code int }
	ends := make(chan ended, 2)
	var clients []*client
	for i := range 2 {
		ws, c := s.connect()
		clients = append(clients, c)
		go func() {
			_, _, err := ws.ReadMessage()
			var closed *websocket.CloseError
			if !errors.As(err, &closed) {
				t.Errorf("read: %v", err)
				closed = &websocket.CloseError{}
			}
			ends <- ended{i, closed.Code}
		}()
	}
	ctx, cancel := context.WithCancel(t.Context())
	drained := make(chan error, 1)
	go func() { drained <- s.Drain(ctx, 24*time.Hour) }() // one at once, the other after half a day
	first := <-ends
	clients[1-first.which].session.Close(engine.ForcedClose)
	second := <-ends
	if first.code != 1001 || second.code != 1005 {
		t.Errorf("drained with %d, disconnected with %d", first.code, second.code)
	}
	s.wantClosed(clients[first.which], engine.ShuttingDown)
	s.wantClosed(clients[second.which], engine.ForcedClose)
	cancel()
	if err := <-drained; err == nil {
		t.Error("the drain ended by itself")
	}
}

func TestShed_ClosesSomeAsADrainDoes(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	waiting := p.getWaiting()
	if n := s.Shed(t.Context(), 5, 0); n != 1 {
		t.Errorf("%d of 1 shed", n)
	}
	s.wantAnswer("a GET that waits", <-waiting, 200, "6")
	s.wantClosed(p.client, engine.ShuttingDown)
	s.wantAnswer("the next GET", p.get(), 400, `{"code":1,"message":"Session ID unknown"}`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		s.poll() // the server goes on letting clients in
	}
	if n := s.Shed(ctx, 2, time.Hour); n != 1 {
		t.Errorf("%d shed although it is over", n)
	}
}

func TestDrain_CutsWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := startInBubble(t, engine.Config{})
		p := s.poll() // never fetches its end
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		if err := s.Drain(ctx, time.Second); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		passed(t, "return", began, 5*time.Second, 5*time.Second)
		s.wantClosed(p.client, engine.ShuttingDown)
	})
}

func TestSessions_CountsTheOpenOnes(t *testing.T) {
	s := start(t, engine.Config{})
	p := s.poll()
	_, c := s.connect()
	if n := s.Sessions(); n != 2 {
		t.Errorf("%d sessions", n)
	}
	p.wantPosted("1")
	s.wantClosed(p.client, engine.TransportClose)
	c.session.Close(engine.SlowConsumer)
	s.wantClosed(c, engine.SlowConsumer)
	if n := s.Sessions(); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

func TestID_IsTagAndRandom(t *testing.T) {
	s := start(t, engine.Config{})
	ids := map[string]bool{}
	for range 200 {
		ids[s.poll().session.ID()] = true
	}
	tag := ""
	for id := range ids {
		if !regexp.MustCompile(`^[A-Za-z0-9_-]{20}$`).MatchString(id) || tag != "" && id[:4] != tag {
			t.Errorf("id %q, tag %q", id, tag)
		}
		tag = id[:4]
	}
	if len(ids) != 200 {
		t.Errorf("%d different ids", len(ids))
	}
}

func TestID_BeginsWithTheTagOfTheMoment(t *testing.T) {
	tags := []string{"AAAA", "AAAA", "BBBB"} // New asks once itself
	s := start(t, engine.Config{Tag: func() string {
		tag := tags[0]
		tags = tags[1:]
		return tag
	}})
	for _, tag := range []string{"AAAA", "BBBB"} {
		if id := s.poll().session.ID(); id[:4] != tag {
			t.Errorf("id %q instead of one with %s", id, tag)
		}
	}
}

// metric sums a family's values over the label values given.
func metric(t *testing.T, registry *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			if joined := strings.Join(values, ","); len(labels) == 0 || joined == labels[0] {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := start(t, engine.Config{Registry: registry})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, f := range families {
		got[f.GetName()] = len(f.GetMetric())
	}
	for name, series := range map[string]int{
		"carillon_connections": 4, "carillon_handshakes_total": 32, "carillon_disconnects_total": 8,
		"carillon_packets_total": 14, "carillon_bytes_total": 8, "carillon_outbox_bytes": 1,
		"carillon_slow_consumers_total": 1, "carillon_receiver_panics_total": 1, "carillon_delivery_seconds": 1, "carillon_dropped_total": 4,
		"carillon_connections_limit": 1, "carillon_outbox_limit_bytes": 1,
	} {
		if got[name] != series {
			t.Errorf("%s: %d series from the start, want %d", name, got[name], series)
		}
	}

	p := s.poll()
	p.session.Send(false, engine.NewFrame([]byte("abc"), false, time.Now()))
	want := func(value float64, name string, labels ...string) {
		t.Helper()
		s.eventually(name, func() bool { return metric(t, registry, name, labels...) == value })
	}
	want(6+96, "carillon_outbox_bytes") // the frame, and what it takes beside its bytes
	want(1, "carillon_connections", "polling")
	p.get()
	want(0, "carillon_outbox_bytes")
	want(1, "carillon_delivery_seconds")
	want(1, "carillon_packets_total", "out,message")
	ws := p.probe()
	ws.text("5")
	ws.text("4x")
	s.wantMessage(p.client, "x", false)
	want(0, "carillon_connections", "polling")
	want(1, "carillon_connections", "websocket")
	want(1, "carillon_packets_total", "in,message")
	want(1, "carillon_packets_total", "in,upgrade")
	ws.text("1")
	s.wantClosed(p.client, engine.TransportClose)
	want(0, "carillon_connections")
	want(1, "carillon_disconnects_total", "transport close")
	p.session.Send(false, text("x"))
	want(1, "carillon_dropped_total", "ended")
	want(1, "carillon_handshakes_total", "ok,polling")

	if _, err := engine.New(s, engine.Config{Registry: registry}); err == nil {
		t.Error("the same metrics are registered twice")
	}
}

// Broadcasts must cost nothing per recipient but the write: no allocation.
func TestSend_SharedFrameAllocatesNothingPerRecipient(t *testing.T) {
	const clients = 1000
	s := start(t, engine.Config{})
	frame := text(strings.Repeat("x", 150))
	var arrived sync.WaitGroup
	sessions := make([]*engine.Session, clients)
	for i := range sessions {
		conn := s.raw("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\n" +
			"Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n")
		readUntil(t, conn, `"maxPayload":1000000}`)
		sessions[i] = (<-s.opened).session
		go countFrames(conn, 2+2+1+150, &arrived)
	}
	broadcast := func() {
		arrived.Add(clients)
		for _, session := range sessions {
			session.Send(false, frame)
		}
		arrived.Wait()
	}
	allocations := testing.AllocsPerRun(20, broadcast)
	if allocations > clients/20 && !raceEnabled {
		t.Errorf("%v allocations for %d recipients", allocations, clients)
	}
}

// countFrames reads frames of one size until the connection ends.
func countFrames(conn net.Conn, size int, arrived *sync.WaitGroup) {
	_ = conn.SetReadDeadline(time.Time{})
	buffer := make([]byte, size)
	for got := 0; ; {
		n, err := conn.Read(buffer[got:])
		if err != nil {
			return
		}
		if got += n; got == size {
			got = 0
			arrived.Done()
		}
	}
}

// Every public method at once, for the race detector.
func TestSession_ConcurrentUse(t *testing.T) {
	s := start(t, engine.Config{}, echoing)
	var wg sync.WaitGroup
	for range 20 {
		p := s.poll()
		for _, use := range []func(){
			func() { p.session.Send(false, text("a"), bin("b")) },
			func() { p.session.Send(true, text("c")) },
			func() { _ = p.session.Handshake(); _ = p.session.Transport() },
			func() { _, _ = s.try(context.Background(), http.MethodGet, p.query, "") },
			func() { _, _ = s.try(context.Background(), http.MethodPost, p.query, "4x") },
			func() { p.session.Close(engine.ForcedClose) },
		} {
			wg.Go(use)
		}
	}
	wg.Wait()
}
