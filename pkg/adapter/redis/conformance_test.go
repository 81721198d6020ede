package redis_test

import (
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/adaptertest"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

// clients makes the clients of one case.
type clients func(t *testing.T) func() goredis.UniversalClient

// conforms runs the suite. One Redis serves many cases, so each has channels and keys of its own.
func conforms(t *testing.T, name string, of clients, cfg redis.Config, options ...adaptertest.Option) {
	if cfg.Fences = cfg.Streams == nil; cfg.Fences {
		options = append(options, adaptertest.Fences)
	}
	cfg.RequestTimeout = patience / 2 // no case is about it, and a busy machine may need more than the default
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		adaptertest.Run(t, 3, func(t *testing.T, n int) []adapter.Adapter {
			client, made := of(t), make([]adapter.Adapter, n)
			for i := range made {
				cfg := cfg
				cfg.Key, cfg.Prefix = cfg.Key+t.Name(), t.Name()
				if strings.HasPrefix(cfg.Key, "{") {
					cfg.Key += "}" // puts all channels into one slot
				}
				if cfg.Tag != "" {
					cfg.Tag += string(rune('A' + i)) // the suite has a room that the first node's pattern covers
				}
				a, err := redis.New(client(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				made[i] = a
			}
			return made
		}, append(options, adaptertest.AmongOthers)...)
	})
}

func TestConforms_OnOneRedis(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := func(*testing.T) func() goredis.UniversalClient {
		return func() goredis.UniversalClient { return s.client() }
	}
	for name, cfg := range map[string]redis.Config{
		"rooms one by one":              {},
		"node pattern":                  {Tag: "AAA"},
		"own responses":                 {OwnResponses: true, Key: "other[key]*"},
		"whole namespaces":              {Interest: redis.InterestNamespace, Tag: "AAA"},
		"sharded static":                {Sharding: &redis.Sharding{Mode: redis.ModeStatic}},
		"sharded dynamic":               {Sharding: &redis.Sharding{Mode: redis.ModeDynamic}},
		"sharded dynamic-private":       {Sharding: &redis.Sharding{Mode: redis.ModeDynamicPrivate}},
		"streams":                       {Streams: &redis.Streams{}},
		"three streams":                 {Streams: &redis.Streams{Count: 3}, Tag: "AAA"},
		"streams with classic emitters": {Streams: &redis.Streams{ClassicEmitters: true}, Tag: "AAA"},
		"sharded with classic emitters": {Sharding: &redis.Sharding{ClassicEmitters: true}, Tag: "AAA"},
	} {
		conforms(t, name, client, cfg)
	}
}

// onCluster makes the clients of all cases on a cluster of three masters.
func onCluster(t *testing.T) clients {
	t.Helper()
	c := startCluster(t, 3, false)
	return func(*testing.T) func() goredis.UniversalClient {
		return func() goredis.UniversalClient { return c.client() }
	}
}

// TestConforms_ClassicOnACluster: all that is published goes through one master, so that order is kept.
func TestConforms_ClassicOnACluster(t *testing.T) {
	t.Parallel()
	conforms(t, "classic", onCluster(t), redis.Config{})
}

// TestConforms_ShardedOnACluster: channels are spread over three masters, which keep no order between them unless the key
// puts all of them into one slot.
func TestConforms_ShardedOnACluster(t *testing.T) {
	t.Parallel()
	client := onCluster(t)
	sharding := func(mode redis.Mode) redis.Config { return redis.Config{Sharding: &redis.Sharding{Mode: mode}} }
	conforms(t, "static", client, sharding(redis.ModeStatic))
	conforms(t, "dynamic", client, sharding(redis.ModeDynamic), adaptertest.OrderPerTarget)
	conforms(t, "dynamic-private", client, sharding(redis.ModeDynamicPrivate), adaptertest.OrderPerTarget)
	inOneSlot := sharding(redis.ModeDynamic)
	inOneSlot.Key = "{"
	conforms(t, "in one slot", client, inOneSlot)
}

// TestConforms_OnMiniredis: a server without CLIENT INFO, CLIENT KILL and ROLE will do.
func TestConforms_OnMiniredis(t *testing.T) {
	t.Parallel()
	client := func(t *testing.T) func() goredis.UniversalClient {
		mini := miniredis.RunT(t)
		return func() goredis.UniversalClient { return clientWith(t, &goredis.Options{Addr: mini.Addr()}) }
	}
	conforms(t, "classic", client, redis.Config{})
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
