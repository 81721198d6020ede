package redis_test

import (
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

// dialects are both kinds of channels.
var dialects = map[string]func() redis.Config{
	"classic": func() redis.Config { return redis.Config{} },
	"sharded": dynamic,
}

// inEachDialect runs a test for both kinds of channels at the same time, each with a Redis of its own.
func inEachDialect(t *testing.T, test func(t *testing.T, s *server, config func() redis.Config)) {
	for name, config := range dialects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, startServer(t), config)
		})
	}
}
