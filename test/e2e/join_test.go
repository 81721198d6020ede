package e2e

import (
	"fmt"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/emitter"
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
)

// TestJoin_WhatABackendEmitsRightBehindArrives: it makes the sockets of a user join a room and emits to the room at once,
// before any gateway has subscribed to the room's channel.
func TestJoin_WhatABackendEmitsRightBehindArrives(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"pubsub", "sharded"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			url, env := startRedis(t), "CARILLON_ADAPTER_KIND="+kind
			a, b := startNode(t, "gateway a", url, env), startNode(t, "gateway b", url, env)
			var cfg redis.Config
			if kind == "sharded" {
				cfg.Sharding = &redis.Sharding{}
			}
			server, _ := embed(t, url, cfg)
			options, err := goredis.ParseURL(url)
			if err != nil {
				t.Fatal(err)
			}
			redisClient := goredis.NewClient(options)
			defer redisClient.Close()
			outside := emitter.New(redisClient, emitter.Config{})
			senders := map[string]func(room string, n int) error{
				"emitter": func(room string, n int) error {
					if err := outside.In("room:user").SocketsJoin(t.Context(), room); err != nil {
						return err
					}
					return outside.To(room).Emit(t.Context(), "msg", n)
				},
				"server": func(room string, n int) error {
					server.To("room:user").SocketsJoin(room)
					return server.To(room).Emit("msg", n)
				},
			}
			for place, gateways := range map[string][]node{"one gateway": {a}, "two gateways": {a, b}} {
				for name, send := range senders {
					t.Run(place+"/"+name, func(t *testing.T) {
						var clients []*socketiotest.Client
						for _, gateway := range gateways {
							c := socketiotest.Dial(t, "http://"+gateway.address, socketiotest.Options{Patience: patience})
							if answer := string(c.EmitWithAck("join", "room:user").JSON); answer != `[{"ok":true}]` {
								t.Fatalf("join: %s", answer)
							}
							clients = append(clients, c)
						}
						for i := range 20 {
							if err := send(fmt.Sprintf("%s/%s/%d", place, name, i), i); err != nil {
								t.Fatal(err)
							}
						}
						for _, c := range clients {
							for i := range 20 {
								c.Expect("msg", i)
							}
						}
					})
				}
			}
		})
	}
}
