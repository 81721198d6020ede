package e2e

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/emitter"
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
)

// TestEmitter_AcknowledgementsFromGatewaysAndNode asks clients of a gateway and of Node's server in one cluster, from a
// process that is neither.
func TestEmitter_AcknowledgementsFromGatewaysAndNode(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"", "dynamic", "static"} {
		t.Run("mode "+mode, func(t *testing.T) {
			t.Parallel()
			url := startRedis(t)
			var env []string
			if mode != "" {
				env = []string{"CARILLON_ADAPTER_KIND=sharded", "CARILLON_ADAPTER_SHARDED_MODE=" + mode, "SHARDED=" + mode}
			}
			gateway := startNode(t, "gateway", url, env...)
			urls := []string{"http://" + gateway.address, startReference(t, url, env...)}
			options, err := goredis.ParseURL(url)
			if err != nil {
				t.Fatal(err)
			}
			redis := goredis.NewClient(options)
			defer func() { _ = redis.Close() }()
			io := emitter.New(redis, emitter.Config{Sharded: mode}).To("room:all")
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()

			var group sync.WaitGroup
			var clients []*socketiotest.Client
			for i, url := range urls {
				client := socketiotest.Dial(t, url, socketiotest.Options{Patience: patience})
				defer client.Close()
				client.EmitWithAck("join", "room:all")
				clients = append(clients, client)
				group.Go(func() { client.Await("question").Ack(map[string]int{"from": i}, "which Node does not hand on") })
			}
			if mode == "dynamic" { // Node acknowledges the join before Redis has confirmed its subscription
				const channel = "socket.io#/#room:all#"
				for redis.PubSubShardNumSub(ctx, channel).Val()[channel] < int64(len(urls)) {
					if ctx.Err() != nil {
						t.Fatal("a server does not subscribe to the room's channel")
					}
					time.Sleep(5 * time.Millisecond)
				}
			}
			answers, err := io.EmitWithAck(ctx, "question", "who?")
			group.Wait()
			var got []string
			for _, answer := range answers {
				got = append(got, string(answer.JSON))
			}
			slices.Sort(got)
			if err != nil || !slices.Equal(got, []string{`[{"from":0}]`, `[{"from":1}]`}) {
				t.Errorf("answers %v, %v", got, err)
			}

			// One answers with bytes, and one does not answer.
			group.Go(func() { clients[0].Await("bytes").Ack([]byte("\x00\xff")) })
			short, end := context.WithTimeout(ctx, 2*time.Second)
			defer end()
			answers, err = io.EmitWithAck(short, "bytes", []byte{1})
			group.Wait()
			var missing *emitter.MissingError
			if !errors.As(err, &missing) || missing.Clients != 1 || len(missing.Nodes) != 1 {
				t.Errorf("missing: %v", err)
			}
			if len(answers) != 1 || len(answers[0].Attachments) != 1 || string(answers[0].Attachments[0]) != "\x00\xff" {
				t.Errorf("answers %v", answers)
			}
		})
	}
}
