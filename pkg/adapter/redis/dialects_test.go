package redis_test

import (
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

// dialects are all ways through Redis.
var dialects = map[string]func() redis.Config{
	"classic": func() redis.Config { return redis.Config{} },
	"sharded": dynamic,
	"streams": func() redis.Config { return redis.Config{Streams: &redis.Streams{}} },
}

// subscribing are those whose commands come through subscriptions, with fences. A stream is read on from where it was, whatever
// becomes of a connection.
var subscribing = map[string]func() redis.Config{"classic": dialects["classic"], "sharded": dialects["sharded"]}

// asked is how many connections of nodes of a kind receive questions.
func (s *server) asked(cfg redis.Config) int {
	switch {
	case cfg.Sharding != nil:
		return s.shardSubscribers("socket.io#/#")
	case cfg.Streams != nil:
		return s.subscribers("socket.io#/#")
	}
	return s.subscribers(requests)
}

// inEachDialect runs a test for all of them at the same time, each with a Redis of its own.
func inEachDialect(t *testing.T, test func(t *testing.T, s *server, config func() redis.Config)) {
	inEach(t, dialects, test)
}

func inEach(
	t *testing.T, dialects map[string]func() redis.Config, test func(t *testing.T, s *server, config func() redis.Config),
) {
	for name, config := range dialects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, startServer(t), config)
		})
	}
}
