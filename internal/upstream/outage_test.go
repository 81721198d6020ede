package upstream_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/upstream"
)

// accepted collects what clients were told, by entry.
type accepted struct {
	mu          sync.Mutex
	ids         map[string]string // of entries, what they hold
	unavailable int
}

func (a *accepted) wait(t *testing.T, what string, from <-chan outcome) {
	got := receive(t, what, from)
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case got.err == nil:
		a.ids[got.id] = what
	case errors.Is(got.err, upstream.ErrUnavailable):
		a.unavailable++
	default:
		t.Errorf("%s: %v", what, got.err)
	}
}

// account compares what clients were told with what the stream holds.
func (a *accepted) account(t *testing.T, s *server) {
	t.Helper()
	held, seqs := map[string]string{}, map[any]int{}
	for _, e := range s.entries(orders) {
		sid := e.Values["sid"]
		seqs[sid]++
		if e.Values["seq"] != strconv.Itoa(seqs[sid]) {
			t.Fatalf("%v: entry %d has seq %v", sid, seqs[sid], e.Values["seq"])
		}
		if e.Values["t"] == "event" {
			held[e.ID] = fmt.Sprintf("%v %v", sid, e.Values["data"])
		}
	}
	seen := map[string]string{}
	for id, what := range held {
		if other, twice := seen[what]; twice {
			t.Errorf("%s stands twice: %s and %s", what, other, id)
		}
		seen[what] = id
	}
	for id, what := range a.ids {
		if held[id] != what {
			t.Errorf("%s was accepted as %s, which holds %q", what, id, held[id])
		}
	}
	t.Logf("%d accepted, %d unavailable, %d stored", len(a.ids), a.unavailable, len(held))
}

func TestOutage_NothingAcceptedIsLostAndNothingStandsTwice(t *testing.T) {
	t.Parallel()
	const sockets = 20
	s := startServer(t)
	n := startNode(t, s, route(func(r *config.Route) { r.Lifecycle, r.Deadline = true, time.Minute }))
	a := &accepted{ids: map[string]string{}}
	stop := make(chan struct{})
	var sending sync.WaitGroup
	for i := range sockets {
		sending.Go(func() {
			sid := fmt.Sprintf("sid-%d", i)
			c := n.open(upstream.Client{ID: sid})
			defer c.leave("bye")
			var waiting sync.WaitGroup
			defer waiting.Wait()
			room := make(chan struct{}, 64)
			for e := 0; ; e++ {
				select {
				case <-stop:
					return
				case room <- struct{}{}:
				}
				stored := c.send("orders", "e", fmt.Sprintf("[%d]", e))
				waiting.Go(func() {
					a.wait(t, fmt.Sprintf("%s [%d]", sid, e), stored)
					<-room
				})
			}
		})
	}
	count := func() int {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.ids)
	}
	for range 5 {
		before := count()
		eventually(t, "events are accepted", func() bool { return count() > before+500 })
		s.Kill()
		s.Start()
	}
	close(stop)
	sending.Wait()
	n.leave(patience)
	a.account(t, s)
	if a.unavailable > 0 {
		t.Errorf("%d events were unavailable before their deadline", a.unavailable)
	}
	if got := ends(t, s, 1); len(got) != sockets {
		t.Errorf("%d of %d sockets have their disconnected entry", len(got), sockets)
	}
}

func TestOutage_ARedisThatHangsMakesEventsUnavailableAtTheirDeadlineAndStoresThemOnce(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := startNode(t, s, route(func(r *config.Route) { r.Deadline = 300 * time.Millisecond }))
	c := n.open(upstream.Client{ID: "sid"})
	tries := 0
	again := func() bool { // at some time: a busy machine may take longer than the deadline
		tries++
		return receive(t, "outcome", c.send("orders", "e", fmt.Sprintf(`["try",%d]`, tries))).err == nil
	}
	eventually(t, "an event is accepted", again)
	s.Signal(syscall.SIGSTOP)
	a := &accepted{ids: map[string]string{}}
	for e := 1; e <= 20; e++ {
		a.wait(t, fmt.Sprintf("sid [%d]", e), c.send("orders", "e", fmt.Sprintf("[%d]", e)))
	}
	s.Signal(syscall.SIGCONT)
	if a.unavailable != 20 {
		t.Errorf("%d of 20 events were unavailable", a.unavailable)
	}
	eventually(t, "events are accepted again", again)
	n.leave(patience)
	a.account(t, s)
}

func TestOutage_AClientThatGoesOnPushingIsNotReadAndMemoryIsBounded(t *testing.T) {
	s := startServer(t)
	n := startNode(t, s, route(func(r *config.Route) { r.Deadline = time.Hour }))
	c := n.open(upstream.Client{ID: "sid"})
	receive(t, "outcome", c.send("orders", "e", "[]"))
	s.Kill()
	const bound = 256 << 10
	large := `["` + string(make([]byte, 10_000)) + `"]`
	var pushed atomic.Int32
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 60 {
			c.send("orders", "e", large)
			pushed.Add(1)
		}
	}()
	held := func() float64 { return metric(t, n, "carillon_upstream_held_bytes") }
	eventually(t, "the client's share is used up", func() bool { return held() > bound-12_000 })
	if events := pushed.Load(); events < 10 || events > 26 || held() > bound {
		t.Errorf("%d events of 10 kB went on; %v bytes are held", events, held())
	}
	s.Start()
	receive(t, "the client goes on", ended)
	n.leave(patience)
	if pushed.Load() != 60 || held() != 0 {
		t.Errorf("%d events went on, %v bytes are still held", pushed.Load(), held())
	}
}

func TestOutage_ClientsThatComeAndGoLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := startNode(t, s, route(func(r *config.Route) { r.Lifecycle, r.Deadline = true, time.Millisecond }))
	kept := n.open(upstream.Client{ID: "kept"})
	s.await(1)
	s.Kill()
	for i := range 1000 {
		c := n.open(upstream.Client{ID: fmt.Sprintf("sid-%d", i)})
		c.send("orders", "e", "[]")
		time.Sleep(2 * time.Millisecond) // over the deadline
		c.leave("bye")
	}
	if held := metric(t, n, "carillon_upstream_held_bytes"); held > 100<<10 {
		t.Errorf("%v bytes are held for clients that have left", held)
	}
	kept.leave("bye")
	s.Start()
	eventually(t, "the one that was told of is ended", func() bool { return ends(t, s, 1)["kept"] == 1 })
	n.leave(patience)
	ends(t, s, 1)
}

// metric is the value of a gauge or a counter without labels.
func metric(t *testing.T, n *node, name string) float64 {
	t.Helper()
	families, err := n.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	t.Fatal("no metric ", name)
	return 0
}

func TestOutage_ClientsThatAreGoneBeforeTheDeadlineLeaveNothingBehind(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := startNode(t, s, route(func(r *config.Route) { r.Lifecycle, r.Deadline = true, 200*time.Millisecond }))
	kept := n.open(upstream.Client{ID: "kept"})
	s.await(1)
	s.Kill()
	for i := range 3000 {
		c := n.open(upstream.Client{ID: fmt.Sprintf("sid-%d", i), Auth: []byte(`{"a":"` + strings.Repeat("a", 1000) + `"}`)})
		if i%2 == 0 {
			c.send("orders", "e", "[]")
		}
		c.leave("bye")
	}
	const flight = 2 << 20 // a batch that Redis may have, and one entry more
	eventually(t, "nothing is held for clients that have left", func() bool { return metric(t, n, "carillon_upstream_held_bytes") < flight })
	kept.leave("bye")
	s.Start()
	eventually(t, "the one that was told of is ended", func() bool { return ends(t, s, 1)["kept"] == 1 })
	n.leave(patience)
	ends(t, s, 1)
}
