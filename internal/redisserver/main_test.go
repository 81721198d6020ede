package redisserver

import (
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/internal/redisqueue"
	"github.com/carillon-io/carillon/internal/redissub"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testConfig is that of a node without Redis.
func testConfig() *Config {
	return &Config{
		Node: "node", Probe: "probe",
		Queue:    redisqueue.Limits{Messages: 100, Bytes: 1000, Age: time.Hour},
		Linger:   time.Second,
		Logger:   zap.NewNop(),
		Refusals: redisconn.NewRefusals(zap.NewNop(), func(string) {}),
		Metrics: Metrics{
			Queue:        redisqueue.Metrics{Waiting: gauge(), Dropped: func(redisqueue.Drop) {}},
			In:           gauge(),
			Out:          gauge(),
			Dropped:      func(Drop) {},
			Resubscribes: gauge(),
			Probe:        prometheus.NewHistogram(prometheus.HistogramOpts{Name: "probe"}),
		},
		Connected: func() {},
	}
}

func gauge() prometheus.Gauge { return prometheus.NewGauge(prometheus.GaugeOpts{Name: "test"}) }

func roomOf(name string, slot uint16) redissub.Interest {
	return redissub.Interest{Channel: name, Kind: redissub.Room, Slot: slot, Room: name}
}

// probe is the interest in the probes of a node on classic channels.
var probe = redissub.Interest{Channel: "probe", Kind: redissub.Probe}

func wantAll(redissub.Interest) bool { return true }

func payloads(messages []redisqueue.Message) []string {
	var p []string
	for _, m := range messages {
		p = append(p, string(m.Payload))
	}
	return p
}

func expectPayloads(t *testing.T, got []redisqueue.Message, want ...string) {
	t.Helper()
	if !slices.Equal(payloads(got), want) {
		t.Errorf("took %q instead of %q", payloads(got), want)
	}
}
