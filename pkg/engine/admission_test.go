package engine_test

import (
	"net/http"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/prometheus/client_golang/prometheus"
)

func TestSetLimits_SessionsOfTheServerAndOfAnAddress(t *testing.T) {
	from := func(r *http.Request) (string, bool) { return r.Header.Get("X-Address"), false }
	for name, tt := range map[string]struct {
		limits         engine.Limits
		again, another int
	}{
		"none":        {engine.Limits{}, 200, 200},
		"sessions":    {engine.Limits{Sessions: 1}, 503, 503},
		"per address": {engine.Limits{PerAddress: 1}, 503, 200},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, engine.Config{Client: from})
			s.SetLimits(tt.limits)
			open := func(address string) int {
				return s.do("GET", "EIO=4&transport=polling", "", "X-Address", address).status
			}
			if got := open("a"); got != 200 {
				t.Fatalf("the first: %d", got)
			}
			first := <-s.opened
			if got := open("a"); got != tt.again {
				t.Errorf("the same address again: %d, want %d", got, tt.again)
			}
			if got := open("b"); got != tt.another {
				t.Errorf("another address: %d, want %d", got, tt.another)
			}
			if tt.again == 503 { // an upgrade that succeeds has no answer that ends
				upgrade := s.do("GET", "EIO=4&transport=websocket", "", "X-Address", "a", "Connection", "Upgrade", "Upgrade", "websocket",
					"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
				if upgrade.status != 503 || upgrade.header.Get("Retry-After") == "" {
					t.Errorf("over WebSocket: %d, Retry-After %q", upgrade.status, upgrade.header.Get("Retry-After"))
				}
			}
			first.session.Close(engine.ForcedClose)
			s.do("GET", "EIO=4&transport=polling&sid="+first.session.ID(), "") // fetches the end
			s.eventually("room again", func() bool { return open("a") == 200 })
		})
	}
}

func TestMetrics_ShowTheLimitsInForce(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := start(t, engine.Config{Registry: registry})
	for _, limit := range []int{0, 10, 20} {
		s.SetLimits(engine.Limits{Sessions: limit, Outboxes: 1000 * limit})
		if got := metric(t, registry, "carillon_connections_limit"); got != float64(limit) {
			t.Errorf("%v sessions, want %d", got, limit)
		}
		if got := metric(t, registry, "carillon_outbox_limit_bytes"); got != float64(1000*limit) {
			t.Errorf("%v bytes, want %d", got, 1000*limit)
		}
	}
}
