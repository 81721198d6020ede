package redis_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

// watched is a client's hook that looks at each command before it is sent.
type watched func(ctx context.Context, command goredis.Cmder)

func (w watched) DialHook(next goredis.DialHook) goredis.DialHook { return next }
func (w watched) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, command goredis.Cmder) error {
		w(ctx, command)
		return next(ctx, command)
	}
}
func (w watched) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

// TestRun_NodeHearsUntilItHasSaidThatItLeaves, or others would take it for cut off.
func TestRun_NodeHearsUntilItHasSaidThatItLeaves(t *testing.T) {
	t.Parallel()
	inEachDialect(t, func(t *testing.T, s *server, config func() redis.Config) {
		hears := func() bool { return s.subscribers("socket.io#/#") == 1 }
		cfg := config()
		cfg.NodeID = "leaver"
		if cfg.Sharding != nil {
			hears = func() bool { return s.shardSubscribers("socket.io#/#") == 1 }
		}
		client := s.client()
		said := make(chan struct{})
		once := sync.OnceFunc(func() { close(said) })
		client.AddHook(watched(func(ctx context.Context, command goredis.Cmder) {
			if !strings.Contains(fmt.Sprint(command.Args()...), `"left":true`) {
				return
			}
			defer once()
			for range 3 { // each takes a connection of its own: time enough to notice
				if !hears() && ctx.Err() == nil { // it may not take for ever to say so
					t.Error("stopped hearing before")
				}
			}
		}))
		n := readyNodeWith(t, client, cfg)
		n.end()
		<-said
		eventually(t, "hears no more", func() bool { return !hears() })
	})
}
