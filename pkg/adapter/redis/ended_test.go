package redis_test

import (
	"context"
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/rooms"
)

// TestStreams_AnAnswerCountsWhatTheEntryOfItsQuestionHasDisconnected: the entry is faster than the question.
func TestStreams_AnAnswerCountsWhatTheEntryOfItsQuestionHasDisconnected(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	one, two := readyNode(t, s, redis.Config{Streams: &redis.Streams{}}), readyNode(t, s, redis.Config{Streams: &redis.Streams{}})
	behind := make(chan struct{})
	two.answers(func(_ adapter.Query, reply func(adapter.Reply)) {
		go func() { // as if the question had come only now
			<-behind
			reply(adapter.Counted{Sockets: 2})
		}()
	})
	two.arrives(func(c adapter.Command, at adapter.Arrival) int {
		if at.Stored {
			one.Publish(broadcast(`["behind the entry"]`), nil)
			return 3
		}
		if _, ok := c.(adapter.Broadcast); ok {
			close(behind)
		}
		return 0
	})
	ban := adapter.Perform{Command: adapter.Disconnect{Namespace: "/", Target: rooms.Target{Rooms: []string{"user:1"}}}}
	sockets := 0
	missing, err := one.Ask(context.Background(), ban, func(r adapter.Reply) { sockets += r.(adapter.Counted).Sockets })
	if sockets != 5 || len(missing) > 0 || err != nil {
		t.Errorf("%d sockets, %v is missing, %v", sockets, missing, err)
	}
}
