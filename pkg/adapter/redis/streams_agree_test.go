package redis_test

import (
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

// TestStreams_AnotherNumberOfThemIsNoticed: servers that spread the namespaces over another number of streams pass each other by.
func TestStreams_AnotherNumberOfThemIsNoticed(t *testing.T) {
	t.Parallel()
	differs := func(n *node) bool { return n.metric("redis_streams_differ") == 1 }
	const event = `{"packet":{"type":2,"data":["hi"]},"opts":{"rooms":[],"except":[],"flags":{}}}`
	cases := map[string]struct {
		here  int
		other func(t *testing.T, s *server) func() bool // reports whether the other one knows as well
	}{
		"a gateway with more": {1, func(t *testing.T, s *server) func() bool {
			other := readyNode(t, s, redis.Config{Streams: &redis.Streams{Count: 3}})
			return func() bool { return differs(other) }
		}},
		"a Node server with more": {1, func(_ *testing.T, s *server) func() bool {
			return func() bool {
				s.command("XADD", "socket.io-1", "*", "uid", "0123456789abcdef", "nsp", "/", "type", "3", "data", event)
				return true
			}
		}},
		"a Node server with fewer": {4, func(_ *testing.T, s *server) func() bool {
			return func() bool { // with two, / is in the second stream, with four in the last
				s.command("XADD", "socket.io-1", "*", "uid", "0123456789abcdef", "nsp", "/", "type", "3", "data", event)
				return true
			}
		}},
		"a namespace that Node's servers cut off": {4, func(_ *testing.T, s *server) func() bool {
			return func() bool {
				s.command("XADD", "socket.io--3", "*", "uid", "0123456789abcdef", "nsp", "/notifications", "type", "3", "data", event)
				return true
			}
		}},
	}
	for what, c := range cases {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			log, entries := observed()
			n := readyNode(t, s, redis.Config{Streams: &redis.Streams{Count: c.here}, Logger: log})
			other := c.other(t, s)
			eventually(t, "noticed", func() bool { return other() && differs(n) })
			warned := 0
			for _, e := range entries.All() {
				if strings.Contains(e.Message, "different streams") {
					warned++
				}
			}
			if warned == 0 || warned > 2 {
				t.Errorf("%d warnings", warned)
			}
		})
	}
	t.Run("the same", func(t *testing.T) {
		t.Parallel()
		s := startServer(t)
		// What is left of a former configuration rests.
		s.command("XADD", "socket.io", "*", "uid", "0123456789abcdef", "nsp", "/", "type", "3", "data", event)
		cfg := redis.Config{Streams: &redis.Streams{Count: 2}}
		n, other := readyNode(t, s, cfg), readyNode(t, s, cfg)
		other.join("red")
		looks := func() int { return strings.Count(s.command("INFO", "commandstats").Val().(string), "cmdstat_exists:") }
		eventually(t, "it has looked", func() bool {
			n.until(other, "red", "hi")
			return looks() > 0
		})
		if differs(n) || differs(other) {
			t.Error("taken for different")
		}
	})
}
