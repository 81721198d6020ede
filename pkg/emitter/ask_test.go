package emitter_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/rediswire"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/emitter"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
	"github.com/carillon-io/carillon/test/await"
	"github.com/carillon-io/carillon/test/redistest"
)

// cluster is servers on a redis-server of the test's own.
type cluster struct {
	redis *redistest.Server
	ids   []string // of the servers
	urls  []string
}

func startCluster(t *testing.T, servers int, sharding *redis.Sharding) *cluster {
	t.Helper()
	c := &cluster{redis: redistest.Start(t)}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	for i := range servers {
		id := fmt.Sprint("node-", i)
		a, err := redis.New(c.redis.NewClient(), redis.Config{NodeID: id, Tag: "tag" + strconv.Itoa(i), Sharding: sharding})
		if err != nil {
			t.Fatal(err)
		}
		cfg := socketio.Config{Adapter: a}
		cfg.Engine.Tag = a.Tag
		server, err := socketio.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		server.Of("/").OnConnect(func(s *socketio.Socket) {
			s.On("join", func(room string, ack socketio.Ack) { s.JoinThen(func(err error) { _ = ack.Send(err == nil) }, room) })
		})
		web := httptest.NewServer(server)
		t.Cleanup(func() {
			server.Close()
			web.Close()
		})
		running.Go(func() { _ = server.Run(ctx) })
		c.ids, c.urls = append(c.ids, id), append(c.urls, web.URL)
		for deadline := time.Now().Add(time.Minute); !a.State().Ready; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("a node is not ready")
			}
		}
	}
	return c
}

// answering has a client answer one event.
func answering(c *socketiotest.Client, group *sync.WaitGroup, answer ...any) {
	group.Go(func() { c.Await("question").Ack(answer...) })
}

func texts(acked []packet.Args) []string {
	var list []string
	for _, a := range acked {
		list = append(list, string(a.JSON))
	}
	slices.Sort(list)
	return list
}

var dialects = map[string]struct {
	mode     string
	sharding *redis.Sharding
}{
	"classic":                           {"", nil},
	"classic, to sharded servers":       {"", &redis.Sharding{ClassicEmitters: true}},
	"sharded":                           {"dynamic", &redis.Sharding{}},
	"sharded, a channel for every room": {"dynamic-private", &redis.Sharding{Mode: redis.ModeDynamicPrivate}},
	"sharded, one channel":              {"static", &redis.Sharding{Mode: redis.ModeStatic}},
}

func TestEmitWithAck_CollectsFromAllServers(t *testing.T) {
	t.Parallel()
	for name, d := range dialects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startCluster(t, 3, d.sharding)
			redis := c.redis.NewClient()
			e := emitter.New(redis, emitter.Config{Sharded: d.mode})
			var clients []*socketiotest.Client
			for i := range 4 {
				one := socketiotest.Dial(t, c.urls[i%3], socketiotest.Options{Patience: time.Minute})
				defer one.Close()
				clients = append(clients, one)
				if i > 0 {
					one.EmitWithAck("join", "room")
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()

			var group sync.WaitGroup
			for i, one := range clients[1:] {
				answering(one, &group, map[string]any{"n": i})
			}
			acked, err := e.To("room").EmitWithAck(ctx, "question", 1)
			if got := texts(acked); err != nil || !slices.Equal(got, []string{`[{"n":0}]`, `[{"n":1}]`, `[{"n":2}]`}) {
				t.Errorf("to a room: %v, %v", got, err)
			}
			group.Wait()

			answering(clients[0], &group, []byte{7})
			acked, err = e.To(clients[0].ID()).EmitWithAck(ctx, "question")
			if err != nil || len(acked) != 1 || len(acked[0].Attachments) != 1 || acked[0].Attachments[0][0] != 7 {
				t.Errorf("to a socket: %v, %v", acked, err)
			}
			group.Wait()

			for i := range 3 { // side by side, each with answers of its own
				group.Go(func() {
					for range 5 {
						q := clients[i].Await("question")
						q.Ack(string(q.Args.JSON))
					}
				})
				for k := range 5 {
					group.Go(func() {
						want := fmt.Sprintf(`["[%d]"]`, 10*i+k)
						acked, err := e.To(clients[i].ID()).EmitWithAck(ctx, "question", 10*i+k)
						if got := texts(acked); err != nil || !slices.Equal(got, []string{want}) {
							t.Errorf("side by side: %v, %v, want %s", got, err, want)
						}
					})
				}
			}
			group.Wait()
			if acked, err := e.To("nobody's room").EmitWithAck(ctx, "question"); err != nil || len(acked) != 0 {
				t.Errorf("to nobody: %v, %v", acked, err)
			}
			// The subscription ends with the last call; Redis notices that its connection is closed a moment later.
			await.True(t, "without a subscription to answers", func() bool {
				return redis.PubSubNumSub(ctx, "socket.io-response#/#").Val()["socket.io-response#/#"] == 0
			})
		})
	}
}

func TestEmitWithAck_NamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	for name, d := range dialects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startCluster(t, 2, d.sharding)
			e := emitter.New(c.redis.NewClient(), emitter.Config{Sharded: d.mode})
			prompt := socketiotest.Dial(t, c.urls[0], socketiotest.Options{Patience: time.Minute})
			defer prompt.Close()
			mute := socketiotest.Dial(t, c.urls[1], socketiotest.Options{})
			defer mute.Close()
			var group sync.WaitGroup
			answering(prompt, &group, "here")
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			acked, err := e.EmitWithAck(ctx, "question")
			group.Wait()
			var missing *emitter.MissingError
			if !errors.As(err, &missing) || !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("error %v", err)
			}
			if !slices.Equal(missing.Nodes, c.ids[1:]) || missing.Clients != 1 {
				t.Errorf("missing: %+v", missing)
			}
			if got := texts(acked); !slices.Equal(got, []string{`["here"]`}) {
				t.Errorf("answers %v", got)
			}
		})
	}
}

// A process that is subscribed and never answers costs its patience once, and the answers of the others are there.
func TestEmitWithAck_SilentServerIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 1, nil)
	redis := c.redis.NewClient()
	silent := redis.Subscribe(t.Context(), rediswire.RequestChannel("socket.io", "/"),
		rediswire.OwnResponseChannel("socket.io", "/", "silent"))
	defer func() { _ = silent.Close() }()
	for range 2 {
		if _, err := silent.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	e := emitter.New(redis, emitter.Config{})
	client := socketiotest.Dial(t, c.urls[0], socketiotest.Options{Patience: time.Minute})
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i, want := range []bool{true, false} {
		var group sync.WaitGroup
		answering(client, &group, "here")
		begun := time.Now()
		acked, err := e.EmitWithAck(ctx, "question")
		group.Wait()
		var missing *emitter.MissingError
		if !errors.As(err, &missing) || !slices.Equal(missing.Nodes, []string{"silent"}) || missing.Clients != 0 ||
			errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("call %d: %v", i, err)
		}
		if len(acked) != 1 {
			t.Errorf("call %d: answers %v", i, acked)
		}
		if waited := time.Since(begun) >= 5*time.Second; waited != want && want {
			t.Errorf("call %d: waited %v", i, time.Since(begun))
		}
	}
}

func TestEmitWithAck_RefusesWhatEmitRefuses(t *testing.T) {
	ear := newEar(t)
	e := emitter.New(ear.client, emitter.Config{})
	if _, err := e.EmitWithAck(t.Context(), "disconnect"); !errors.Is(err, emitter.ErrReserved) {
		t.Errorf("a reserved event: %v", err)
	}
	if _, err := e.EmitWithAck(t.Context(), "e", func() {}); err == nil {
		t.Error("a function was emitted")
	}
	if _, err := e.EmitArgsWithAck(t.Context(), "e", packet.Args{JSON: []byte("[1,]")}); err == nil {
		t.Error("malformed arguments were emitted")
	}
	if acked, err := e.To().EmitWithAck(t.Context(), "e"); err != nil || acked != nil {
		t.Errorf("to no rooms: %v, %v", acked, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.EmitWithAck(ended, "e"); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v", err)
	}
	expectSilence(t, ear, e)
}

func TestEmitWithAck_FailsWithoutRedis(t *testing.T) {
	client := goredis.NewClient(&goredis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	defer func() { _ = client.Close() }()
	if _, err := emitter.New(client, emitter.Config{}).EmitWithAck(t.Context(), "e"); err == nil {
		t.Error("no error")
	}
}

func TestNew_UnknownModePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	emitter.New(nil, emitter.Config{Sharded: "dynamc"})
}
