package engine_test

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/prometheus/client_golang/prometheus"
)

// stall connects a client that reads nothing after its handshake, and whose kernel takes little.
func (s *server) stall() *client {
	s.t.Helper()
	ws, c := s.connect()
	if err := ws.tcp().SetReadBuffer(4 << 10); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// heap is what lives after a collection. Two empty the pools.
func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestSlowConsumer_StalledMembersOfARoomCostNoMoreThanTheirOutboxes(t *testing.T) {
	const (
		stalled  = 10
		messages = 400
		outbox   = 1 << 20
	)
	registry := prometheus.NewRegistry()
	s := start(t, engine.Config{Outbox: outbox, OutboxHard: outbox, Registry: registry})
	healthy, c := s.connect()
	room := []*client{c}
	for range stalled {
		room = append(room, s.stall())
	}
	payload := strings.Repeat("x", 100_000)
	baseline := heap()
	waiting, used := 0, 0
	for i := range messages {
		frame := text(payload)
		sum := 0
		for _, member := range room { // the broadcast: the healthy member does not read during it
			member.session.Send(false, frame)
			sum += engine.Waiting(member.session)
		}
		waiting = max(waiting, sum)
		if i%50 == 9 {
			used = max(used, heap()-baseline)
		}
		healthy.want("4" + payload)
	}
	if limit := stalled*outbox + len(payload) + 200; waiting > limit {
		t.Errorf("%d bytes waited, want at most %d", waiting, limit)
	}
	if used > stalled*outbox {
		t.Errorf("%d bytes of memory over the baseline, want at most %d", used, stalled*outbox)
	}
	for _, member := range room[1:] {
		s.wantClosed(member, engine.SlowConsumer)
	}
	for name, labels := range map[string][]string{
		"carillon_slow_consumers_total": nil, "carillon_disconnects_total": {"slow consumer"},
		"carillon_dropped_total": {"overflow"},
	} {
		if got := metric(t, registry, name, labels...); got != stalled {
			t.Errorf("%s is %v, want %d", name, got, stalled)
		}
	}
	s.eventually("nothing waits", func() bool { return metric(t, registry, "carillon_outbox_bytes") == 0 })
}

func TestVolatile_IsWhatAStalledClientLosesFirst(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := start(t, engine.Config{Outbox: 8 << 20, Registry: registry})
	c := s.stall()
	frame := text(strings.Repeat("x", 10_000))
	c.session.Send(false, slices.Repeat([]*engine.Frame{frame}, 400)...) // more than the kernel takes; counts as a whole
	for range 1000 {
		if c.session.Send(true, frame) {
			t.Fatal("a volatile message is queued")
		}
	}
	if got := metric(t, registry, "carillon_dropped_total", "volatile"); got != 1000 {
		t.Errorf("%v counted, want 1000", got)
	}
	if !c.session.Send(false, frame) {
		t.Error("cut off for volatile messages")
	}
}

// A stalled client costs only the frames that it shares with others, and no copies of them.
func TestSlowConsumer_HoldsNoCopies(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // there each holds one buffer
	}
	const stalled = 100
	s := start(t, engine.Config{})
	var clients []*client
	for range stalled {
		clients = append(clients, s.stall())
	}
	frame := text(strings.Repeat("x", 7_000))
	many := slices.Repeat([]*engine.Frame{frame}, 10)
	baseline := heap()
	for _, c := range clients {
		for engine.Waiting(c.session) < 500_000 { // far beyond what a writer would have taken
			c.session.Send(false, many...)
		}
	}
	s.eventually("no copies are held", func() bool { return (heap()-baseline)/stalled < 8<<10 })
}

func TestSetLimits_TheFullestOutboxesGoFirst(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := start(t, engine.Config{Registry: registry})
	s.SetLimits(engine.Limits{Outboxes: 1_000_000})
	full, half, little := s.poll(), s.poll(), s.poll()
	full.session.Send(false, text(strings.Repeat("x", 500_000)))
	half.session.Send(false, text(strings.Repeat("x", 300_000)))
	little.session.Send(false, text(strings.Repeat("x", 100_000)))
	if n := metric(t, registry, "carillon_outbox_bytes"); n < 900_000 || n > 900_500 {
		t.Fatalf("%v bytes wait", n)
	}
	if !little.session.Send(false, text(strings.Repeat("x", 150_000))) {
		t.Error("not queued although its own outbox has room")
	}
	s.wantClosed(full.client, engine.SlowConsumer)
	s.eventually("the rest waits", func() bool {
		n := metric(t, registry, "carillon_outbox_bytes")
		return n >= 550_000 && n <= 550_500
	})
	if got := metric(t, registry, "carillon_slow_consumers_total"); got != 1 {
		t.Errorf("%v slow consumers", got)
	}
	if a := half.get(); a.status != 200 || len(a.body) < 300_000 {
		t.Errorf("poll: %d, %d bytes", a.status, len(a.body))
	}
	if a := little.get(); a.status != 200 || len(a.body) < 250_000 {
		t.Errorf("poll: %d, %d bytes", a.status, len(a.body))
	}
	s.eventually("nothing waits", func() bool { return metric(t, registry, "carillon_outbox_bytes") == 0 })
}

func TestSetLimits_OutboxesHoldUnderLoad(t *testing.T) {
	const total = 4 << 20
	registry := prometheus.NewRegistry()
	s := start(t, engine.Config{Registry: registry})
	s.SetLimits(engine.Limits{Outboxes: total})
	healthy, c := s.connect()
	room := []*client{c}
	for range 20 {
		room = append(room, s.stall())
	}
	frame := text(strings.Repeat("x", 50_000))
	for range 200 {
		for _, member := range room {
			member.session.Send(false, frame)
		}
		healthy.read()
		s.eventually("the total is kept", func() bool { return metric(t, registry, "carillon_outbox_bytes") <= total })
	}
	for _, member := range room[1:] {
		s.wantClosed(member, engine.SlowConsumer)
	}
	if len(c.closed) > 0 {
		t.Error("the healthy client was closed")
	}
}
