package redis_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/adaptertest"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

func TestAdapter_Conforms(t *testing.T) {
	cases := map[string]redis.Config{
		"rooms one by one": {},
		"node pattern":     {Tag: "AAA"},
		"own responses":    {OwnResponses: true, Key: "other[key]*"},
	}
	for name, cfg := range cases {
		t.Run(name, func(t *testing.T) {
			adaptertest.Run(t, 3, func(t *testing.T, n int) []adapter.Adapter {
				s := startServer(t)
				adapters := make([]adapter.Adapter, n)
				for i := range adapters {
					cfg := cfg
					if cfg.Tag != "" {
						cfg.Tag += string(rune('A' + i)) // the suite has a room that the first node's pattern covers
					}
					a, err := redis.New(s.client(), cfg)
					if err != nil {
						t.Fatal(err)
					}
					adapters[i] = a
				}
				return adapters
			})
		})
	}
}

func TestAdapter_ConformsOnACluster(t *testing.T) {
	s := newServer(t)
	s.start("--cluster-enabled", "yes")
	s.command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
	eventually(t, "cluster is up", func() bool {
		return strings.Contains(s.command("CLUSTER", "INFO").Val().(string), "cluster_state:ok")
	})
	adaptertest.Run(t, 3, func(t *testing.T, n int) []adapter.Adapter {
		adapters := make([]adapter.Adapter, n)
		for i := range adapters {
			client := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: []string{s.address}})
			t.Cleanup(func() { _ = client.Close() })
			// One cluster serves all cases, so each has channels of its own.
			a, err := redis.New(client, redis.Config{Key: t.Name()})
			if err != nil {
				t.Fatal(err)
			}
			adapters[i] = a
		}
		return adapters
	})
}

func TestNew_RefusesWhatCannotWork(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{})
	t.Cleanup(func() { _ = client.Close() })
	ring := goredis.NewRing(&goredis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:0"}})
	t.Cleanup(func() { _ = ring.Close() })
	registered := prometheus.NewRegistry()
	if _, err := redis.New(client, redis.Config{Registry: registered}); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		client goredis.UniversalClient
		cfg    redis.Config
	}{
		"ring":             {ring, redis.Config{}},
		"no client":        {nil, redis.Config{}},
		"tag":              {client, redis.Config{Tag: "long tag"}},
		"emitter's name":   {client, redis.Config{NodeID: "emitter"}},
		"negative queue":   {client, redis.Config{Queue: redis.Queue{Messages: -1}}},
		"negative timeout": {client, redis.Config{RequestTimeout: -1}},
		"negative limit":   {client, redis.Config{MaxDepth: -1}},
		"metrics twice":    {client, redis.Config{Registry: registered}},
	}
	for name, c := range cases {
		if _, err := redis.New(c.client, c.cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
