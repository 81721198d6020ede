package redis_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/emitter"
)

// The users that docs/redis.md recommends, word for word.
const (
	gatewayUser = "ACL SETUSER gateway on >secret resetkeys ~carillon:{nodes}* resetchannels &* -@all " +
		"+publish +subscribe +psubscribe +unsubscribe +pubsub|numsub +ping +hello " +
		"+client|setname +client|info +client|kill +role " +
		"+eval +evalsha +time +get +set +del +mget +exists +pexpire " +
		"+zadd +zrem +zrevrange +zrangebyscore +xadd +xrange +xrevrange"
	// What a gateway needs in addition for adapter.kind: sharded.
	shardedRights = "+spublish +ssubscribe +sunsubscribe +pubsub|shardnumsub"
	// What a gateway needs in addition for adapter.kind: streams.
	streamsRights = "~socket.io* +xread"
	// What it needs in addition at every server of a Redis Cluster.
	clusterRights = "+cluster|slots +command +asking +cluster|myid"

	publisherUser = "ACL SETUSER publisher on >secret resetkeys resetchannels &socket.io#* &socket.io-request#* " +
		"-@all +publish"
)

// user runs an ACL SETUSER line and returns a client of that user.
func (s *server) user(t *testing.T, line string) *goredis.Client {
	t.Helper()
	var words []any
	for word := range strings.FieldsSeq(line) {
		words = append(words, word)
	}
	s.command(words...)
	return clientWith(t, &goredis.Options{
		Addr: s.address, Username: words[2].(string), Password: "secret", Protocol: 2, DisableIdentity: true,
	})
}

// allRights does all that needs a right of its own, as that user.
func allRights(t *testing.T, s *server, client *goredis.Client, cfg redis.Config) {
	t.Helper()
	s.command("ZADD", "carillon:{nodes}", 1, "dead")
	cfg.NodeID, cfg.Tag, cfg.Linger = "a", "TAGa", time.Millisecond
	a := readyNodeWith(t, client, cfg)
	cfg.NodeID, cfg.Tag = "b", "TAGb"
	b := readyNodeWith(t, client, cfg)
	b.answersRooms("red")
	a.join("red", "TAGa0123456789abcdef")
	b.hold("red")
	talk(t, a, b, "red")
	a.knows(2)
	if answers, missing, _ := a.ask(); len(answers) != 1 || len(missing) != 0 {
		t.Errorf("answers %q, missing %q", answers, missing)
	}
	s.command("CLIENT", "KILL", "USER", "gateway")
	eventually(t, "both noticed", func() bool {
		return a.metric("redis_resubscribes_total")*b.metric("redis_resubscribes_total") > 0
	})
	talk(t, a, b, "red")
	a.drop("red")
	eventually(t, "unsubscribed", func() bool {
		return strings.Contains(s.command("INFO", "commandstats").Val().(string), "unsubscribe:")
	})
	a.end()
	b.end()
}

func TestACL_RecommendedGatewayUserIsRefusedNothing(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	allRights(t, s, s.user(t, gatewayUser), redis.Config{})
	if log := s.command("ACL", "LOG").Val().([]any); len(log) != 0 {
		t.Errorf("refused: %v", log)
	}
}

func TestACL_RecommendedGatewayUserWithShardedChannels(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	allRights(t, s, s.user(t, gatewayUser+" "+shardedRights), redis.Config{Sharding: &redis.Sharding{ClassicEmitters: true}})
	if log := s.command("ACL", "LOG").Val().([]any); len(log) != 0 {
		t.Errorf("refused: %v", log)
	}
}

func TestACL_RecommendedGatewayUserWithStreams(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	allRights(t, s, s.user(t, gatewayUser+" "+streamsRights), redis.Config{Streams: &redis.Streams{ClassicEmitters: true}})
	if log := s.command("ACL", "LOG").Val().([]any); len(log) != 0 {
		t.Errorf("refused: %v", log)
	}
}

func TestACL_RecommendedGatewayUserHasNoRightToSpare(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.user(t, gatewayUser)
	s.command("CONFIG", "RESETSTAT")
	allRights(t, s, client, redis.Config{})
	used := s.command("INFO", "commandstats").Val().(string)
	for word := range strings.FieldsSeq(gatewayUser) {
		right, isRight := strings.CutPrefix(word, "+")
		if isRight && !strings.Contains(used, "cmdstat_"+right+":") {
			t.Errorf("%s is never used", right)
		}
	}
}

func TestACL_PublisherMayPublishAndNothingElse(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	n := readyNode(t, s, redis.Config{})
	n.join("red")
	client := s.user(t, publisherUser)
	e := emitter.New(client, emitter.Config{})
	for _, err := range []error{
		e.To("red").Emit(t.Context(), "news"), e.Emit(t.Context(), "news"), e.SocketsJoin(t.Context(), "blue"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	eventually(t, "all delivered", func() bool { return len(n.delivered()) == 3 })
	for _, err := range []error{
		client.Publish(t.Context(), "carillon:probe:x", "1").Err(),
		client.Publish(t.Context(), "socket.io-response#/#", "{}").Err(),
		client.Set(t.Context(), "carillon:{nodes}:id:x", "{}", 0).Err(),
		client.Do(t.Context(), "SUBSCRIBE", "socket.io#/#").Err(),
		client.Do(t.Context(), "FLUSHALL").Err(),
	} {
		if !goredis.IsPermissionError(err) {
			t.Errorf("%v", err)
		}
	}
}

func TestACL_RefusalIsCountedByWhatItConcerns(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	cases := map[string]struct {
		line  string
		ready bool
	}{
		"login":     {line: strings.Replace(gatewayUser, ">secret", ">other", 1)},
		"subscribe": {line: strings.Replace(gatewayUser, "+subscribe", "", 1)},
		"heartbeat": {line: strings.Replace(gatewayUser, "~carillon:{nodes}*", "~other:*", 1)},
		"probe":     {line: strings.Replace(gatewayUser, "&*", "&socket.io*", 1)},
		"publish":   {line: strings.Replace(gatewayUser, "+publish", "", 1)},
		"query":     {line: strings.Replace(gatewayUser, "+pubsub|numsub", "", 1), ready: true},
	}
	for what, c := range cases {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			client := s.user(t, strings.Replace(c.line, " gateway ", " "+what+" ", 1))
			log, entries := observed()
			n := newNodeWith(t, client, redis.Config{Key: what, RequestTimeout: 200 * time.Millisecond, Logger: log})
			eventually(t, "counted", func() bool {
				n.Publish(broadcast(`["x"]`), nil)
				_, _ = n.Ask(context.Background(), adapter.AllRooms{Namespace: "/"}, func(adapter.Reply) {})
				return n.metric("redis_refused_total", "what", what) > 1
			})
			logged := entries.FilterMessage("refused by Redis").FilterField(zap.String("what", what))
			if logged.Len() != 1 {
				t.Errorf("logged %d times", logged.Len())
			}
			if c.ready {
				eventually(t, "ready all the same", func() bool { return n.State().Ready })
			} else if n.State().Ready {
				t.Error("ready")
			}
		})
	}
}

func TestACL_RightsGivenLaterAreUsed(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.user(t, strings.Replace(gatewayUser, "~carillon:{nodes}*", "", 1))
	n := newNodeWith(t, client, redis.Config{})
	eventually(t, "refused", func() bool { return n.metric("redis_refused_total", "what", "heartbeat") > 0 })
	if n.State().Ready {
		t.Error("ready without heartbeat")
	}
	s.command("ACL", "SETUSER", "gateway", "~carillon:{nodes}*")
	eventually(t, "ready", func() bool { return n.State().Ready })
}

// TestACL_WithoutClientCommandsWorks: who may not identify and end connections does without.
func TestACL_WithoutClientCommandsWorks(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.user(t, gatewayUser+" -client|setname -client|info -client|kill -role")
	n := readyNodeWith(t, client, redis.Config{})
	s.command("CLIENT", "KILL", "TYPE", "pubsub")
	eventually(t, "resubscribed", func() bool { return n.metric("redis_resubscribes_total") == 1 })
	n.join("red")
}

func TestACL_SubscriptionRefusedIsNeverReady(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.user(t, strings.Replace(gatewayUser, "&*", "&socket.io*", 1))
	n := newNodeWith(t, client, redis.Config{RequestTimeout: 100 * time.Millisecond})
	n.hold("red")
	eventually(t, "tried again", func() bool { return n.metric("redis_refused_total", "what", "subscribe") > 1 })
	if err := n.confirm("red"); !errors.Is(err, adapter.ErrAway) {
		t.Errorf("confirm: %v", err)
	}
	eventually(t, "connected, and not ready", func() bool { // not all the time: a subscription that is late costs the connection
		state := n.State()
		if state.Ready {
			t.Fatal("ready without its subscription")
		}
		return state.Connected
	})
}
