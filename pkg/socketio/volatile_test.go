package socketio_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/test/await"
	"github.com/prometheus/client_golang/prometheus"
)

// value reads one metric: its name, and the label values of the sample, in any order.
func value(t *testing.T, registry prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	samples:
		for _, m := range family.GetMetric() {
			have := map[string]bool{}
			for _, l := range m.GetLabel() {
				have[l.GetValue()] = true
			}
			for _, l := range labels {
				if !have[l] {
					continue samples
				}
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s %v", name, labels)
	return 0
}

// eventually waits for a condition that nothing announces.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	await.True(t, what, condition)
}

func TestVolatile_IsDroppedForAWebSocketThatIsBehind(t *testing.T) {
	registry := prometheus.NewRegistry()
	server, url := serve(t, socketio.Config{Registry: registry})
	n := server.Of("/")
	connected := sockets(n)
	p, _ := join(t, url)
	s := receive(t, connected)
	block := strings.Repeat("x", 30_000)
	blocks := 0
	for value(t, registry, "carillon_outbox_bytes") < 5*float64(len(block)) { // the kernel takes no more
		if err := s.Emit("block", block); err != nil {
			t.Fatal(err)
		}
		blocks++
		if blocks > 1000 {
			t.Fatal("the kernel takes everything")
		}
	}
	delivered := value(t, registry, "carillon_deliveries_total")
	if err := n.Volatile().Emit("volatile"); err != nil {
		t.Error(err)
	}
	if err := s.EmitVolatile("volatile"); err != nil {
		t.Error(err)
	}
	if got := value(t, registry, "carillon_deliveries_total"); got != delivered {
		t.Errorf("%v volatile events were queued", got-delivered)
	}
	if err := s.Emit("last"); err != nil {
		t.Error(err) // the client is behind, not a slow consumer
	}
	for range blocks {
		p.expect(`42["block","` + block + `"]`)
	}
	p.expect(`42["last"]`)
	if err := s.EmitVolatile("volatile"); err != nil {
		t.Error(err)
	}
	p.expect(`42["volatile"]`)
}

func TestVolatile_IsDroppedForAClientThatDoesNotPoll(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	server, url := serve(t, socketio.Config{Registry: registry})
	n := server.Of("/")
	connected := sockets(n)
	p := poll(t, url, "4")
	p.post(`40`)
	s := receive(t, connected)
	_ = p.next()
	sent := 0.0
	eventually(t, "a volatile event is dropped", func() bool {
		sent++
		if err := n.Volatile().Emit("v"); err != nil {
			t.Fatal(err)
		}
		return value(t, registry, "carillon_deliveries_total") < sent
	})
	if err := s.Emit("kept"); err != nil {
		t.Fatal(err)
	}
	for range int(sent) - 1 {
		p.expect(`42["v"]`)
	}
	p.expect(`42["kept"]`)

	polled := make(chan []string, 1)
	go func() {
		resp, err := http.Get(p.url)
		polled <- p.split(p.body(resp, err))
	}()
	eventually(t, "one arrives once the client polls", func() bool {
		if err := s.EmitVolatile("now"); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-polled:
			return got[0] == `42["now"]`
		default:
			return false
		}
	})
}
