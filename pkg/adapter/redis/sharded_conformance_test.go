package redis_test

import (
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/adaptertest"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

var modes = []redis.Mode{redis.ModeStatic, redis.ModeDynamic, redis.ModeDynamicPrivate}

// adapters makes some that belong together.
func adapters(t *testing.T, n int, client func() goredis.UniversalClient, cfg redis.Config) []adapter.Adapter {
	made := make([]adapter.Adapter, n)
	for i := range made {
		a, err := redis.New(client(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		made[i] = a
	}
	return made
}

func TestSharded_Conforms(t *testing.T) {
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			adaptertest.Run(t, 3, func(t *testing.T, n int) []adapter.Adapter {
				s := startServer(t)
				client := func() goredis.UniversalClient { return s.client() }
				return adapters(t, n, client, redis.Config{Sharding: &redis.Sharding{Mode: mode}})
			})
		})
	}
	t.Run("with classic emitters", func(t *testing.T) {
		adaptertest.Run(t, 3, func(t *testing.T, n int) []adapter.Adapter {
			s := startServer(t)
			client := func() goredis.UniversalClient { return s.client() }
			return adapters(t, n, client, redis.Config{Sharding: &redis.Sharding{ClassicEmitters: true}})
		})
	})
}

// TestSharded_ConformsOnACluster: channels are spread over three masters, which keep no order between them unless the
// key puts all of them into one slot.
func TestSharded_ConformsOnACluster(t *testing.T) {
	c := startCluster(t, 3, false)
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			var options []adaptertest.Option
			if mode != redis.ModeStatic {
				options = append(options, adaptertest.OrderPerTarget)
			}
			adaptertest.Run(t, 3, func(t *testing.T, n int) []adapter.Adapter {
				client := func() goredis.UniversalClient { return c.client() }
				// One cluster serves all cases, so each has channels of its own.
				return adapters(t, n, client, redis.Config{Key: t.Name(), Prefix: t.Name(),
					Sharding: &redis.Sharding{Mode: mode}})
			}, options...)
		})
	}
	t.Run("in one slot", func(t *testing.T) {
		adaptertest.Run(t, 3, func(t *testing.T, n int) []adapter.Adapter {
			client := func() goredis.UniversalClient { return c.client() }
			return adapters(t, n, client, redis.Config{Key: "{" + t.Name() + "}", Prefix: t.Name(),
				Sharding: &redis.Sharding{}})
		})
	})
}

// TestClassic_ConformsOnAClusterOfThree: all that is published goes through one master, so that order is kept.
func TestClassic_ConformsOnAClusterOfThree(t *testing.T) {
	c := startCluster(t, 3, false)
	adaptertest.Run(t, 3, func(t *testing.T, n int) []adapter.Adapter {
		client := func() goredis.UniversalClient { return c.client() }
		return adapters(t, n, client, redis.Config{Key: t.Name(), Prefix: t.Name()})
	})
}
