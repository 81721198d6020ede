package redis_test

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/adaptertest"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

// TestAdapter_ConformsOverMiniredis: a server without CLIENT INFO and CLIENT KILL will do.
func TestAdapter_ConformsOverMiniredis(t *testing.T) {
	adaptertest.Run(t, 3, func(t *testing.T, n int) []adapter.Adapter {
		mini := miniredis.RunT(t)
		adapters := make([]adapter.Adapter, n)
		for i := range adapters {
			client := goredis.NewClient(&goredis.Options{Addr: mini.Addr()})
			t.Cleanup(func() { _ = client.Close() })
			a, err := redis.New(client, redis.Config{})
			if err != nil {
				t.Fatal(err)
			}
			adapters[i] = a
		}
		return adapters
	})
}
