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

func TestSetLimits_AnAddressIsOneNetworkOfIPv6(t *testing.T) {
	for name, tt := range map[string]struct {
		first, second string
		status        int
	}{
		"IPv4":              {"192.0.2.1", "192.0.2.2", 200},
		"mapped":            {"192.0.2.1", "::ffff:192.0.2.1", 503},
		"the same /64":      {"2001:db8:0:1::1", "2001:db8:0:1:ffff::2", 503},
		"another /64":       {"2001:db8:0:1::1", "2001:db8:0:2::1", 200},
		"zones do not help": {"fe80::1%eth0", "fe80::1%eth1", 503},
		"no address":        {"proxy-a", "proxy-b", 200},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, engine.Config{Client: func(r *http.Request) (string, bool) { return r.Header.Get("X-Address"), false }})
			s.SetLimits(engine.Limits{PerAddress: 1})
			s.do("GET", "EIO=4&transport=polling", "", "X-Address", tt.first)
			first := <-s.opened
			if got := s.do("GET", "EIO=4&transport=polling", "", "X-Address", tt.second).status; got != tt.status {
				t.Errorf("%s after %s: %d, want %d", tt.second, tt.first, got, tt.status)
			}
			first.session.Close(engine.SlowConsumer)
			s.wantClosed(first, engine.SlowConsumer)
			if got := s.do("GET", "EIO=4&transport=polling", "", "X-Address", tt.first).status; got != 200 {
				t.Errorf("after it has left: %d", got)
			}
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
