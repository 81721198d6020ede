package e2e

import (
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

// TestSharded_BothWaysWithNode puts a gateway, a server of pkg/socketio and Node's own into one cluster over sharded
// channels.
func TestSharded_BothWaysWithNode(t *testing.T) {
	t.Parallel()
	for _, mode := range []redis.Mode{redis.ModeStatic, redis.ModeDynamic, redis.ModeDynamicPrivate} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			url := startRedis(t)
			gateway := startNode(t, "gateway", url, "CARILLON_ADAPTER_KIND=sharded", "CARILLON_ADAPTER_SHARDED_MODE="+string(mode))
			embedded := startEmbedded(t, url, redis.Config{
				RequestTimeout: 2 * time.Second, Sharding: &redis.Sharding{Mode: mode, ClassicEmitters: true},
			})
			runJS(t, "sharded", "REDIS="+url, "MODE="+string(mode), "NODES=http://"+gateway.address+","+embedded)
		})
	}
}

// TestStreams_BothWaysWithNode does the same with the adapter that speaks through streams.
func TestStreams_BothWaysWithNode(t *testing.T) {
	t.Parallel()
	url := startRedis(t)
	gateway := startNode(t, "gateway", url, "CARILLON_ADAPTER_KIND=streams")
	embedded := startEmbedded(t, url, redis.Config{RequestTimeout: 2 * time.Second, Streams: &redis.Streams{ClassicEmitters: true}})
	runJS(t, "sharded", "REDIS="+url, "MODE=streams", "NODES=http://"+gateway.address+","+embedded)
}
