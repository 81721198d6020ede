package engine_test

import (
	"fmt"
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

// What waits for clients counts as the memory it takes, which for small messages is many times their bytes.
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
