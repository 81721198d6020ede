package pythonbus_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/pythonbus"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/adaptertest"
)

// TestBus_AClusterBehindItIsAsItWas: nodes that share the channel deliver nothing twice, and all else passes.
func TestBus_AClusterBehindItIsAsItWas(t *testing.T) {
	adaptertest.Run(t, 3, func(t *testing.T, n int) []adapter.Adapter {
		server := miniredis.RunT(t)
		client := goredis.NewClient(&goredis.Options{Addr: server.Addr(), MaxRetries: -1, Protocol: 2})
		t.Cleanup(func() { _ = client.Close() })
		cluster := adaptertest.NewCluster(n)
		var adapters []adapter.Adapter
		for i := range n {
			bus, err := pythonbus.New(cluster.Adapter(i), client, pythonbus.Config{
				Channel: channel, Cluster: "socket.io", NodeID: strconv.Itoa(i), Probe: "probe:" + strconv.Itoa(i),
				Messages: 100_000, Bytes: 64 << 20, Age: time.Minute, MaxMessage: 1 << 20, MaxDepth: 128,
			})
			if err != nil {
				t.Fatal(err)
			}
			adapters = append(adapters, bus)
		}
		return adapters
	}, adaptertest.AmongOthers)
}
