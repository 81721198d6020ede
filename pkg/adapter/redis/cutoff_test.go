package redis_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

// stage is where a node of the user "lost" can be cut off: it may not subscribe any more at some servers, and its
// heartbeats go on.
type stage struct {
	config  redis.Config
	client  func(user string) goredis.UniversalClient
	servers []*server
	cutAt   []*server
	lost    string // that node's id
	probes  int    // how many probes a node tells of
}

func newStage(t *testing.T, config redis.Config) *stage {
	t.Helper()
	s := startServer(t)
	return &stage{config: config, lost: "lost", probes: 1, servers: []*server{s}, cutAt: []*server{s},
		client: func(user string) goredis.UniversalClient {
			return clientWith(t, &goredis.Options{Addr: s.address, Username: user, Password: "secret"})
		},
	}
}

func newClusterStage(t *testing.T, config redis.Config) *stage {
	t.Helper()
	c := startCluster(t, 3, false)
	var addresses []string
	s := &stage{config: config, lost: "lost", probes: 1}
	for _, master := range c.servers {
		s.servers = append(s.servers, master)
		addresses = append(addresses, master.address)
	}
	s.client = func(user string) goredis.UniversalClient {
		return c.clientWith(&goredis.ClusterOptions{Addrs: addresses, Username: user, Password: "secret"})
	}
	s.cutAt = s.servers
	if config.Sharding != nil {
		// Cut off only where questions are published; the channel for answers that tells who has the namespace is there too.
		at := c.owner("socket.io#/#")
		for i := 0; c.owner("socket.io#/#"+s.lost+"#") != at; i++ {
			s.lost = fmt.Sprint("lost-", i)
		}
		s.cutAt, s.probes = s.servers[at:at+1], 3
	}
	return s
}

// allow lets both users do everything.
func (s *stage) allow() {
	for _, server := range s.servers {
		for _, user := range []string{"lost", "found"} {
			server.command("ACL", "SETUSER", user, "on", ">secret", "~*", "&*", "+@all")
		}
	}
}

func (s *stage) cut() {
	for _, server := range s.cutAt {
		server.command("ACL", "SETUSER", "lost", "-subscribe", "-ssubscribe")
		server.command("CLIENT", "KILL", "USER", "lost", "TYPE", "pubsub")
	}
}

// started starts a node, and waits until its heartbeat tells of its probes.
func (s *stage) started(t *testing.T, user, id string) *node {
	t.Helper()
	cfg := s.config
	cfg.NodeID = id
	n := readyNodeWith(t, s.client(user), cfg)
	n.tellsProbes(s.client("found"), id, s.probes)
	return n
}

// hasNamespace reports whether a node hears answers in the main namespace.
func (s *stage) hasNamespace(id string) bool {
	n := 0
	for _, server := range s.servers {
		n += server.subscribers("socket.io-response#/#"+id+"#") + server.shardSubscribers("socket.io#/#"+id+"#") +
			server.subscribers("socket.io#/#"+id+"#")
	}
	return n > 0
}

func (n *node) tellsProbes(client goredis.UniversalClient, id string, probes int) {
	n.t.Helper()
	eventually(n.t, "tells of its probes", func() bool {
		text, err := client.Get(context.Background(), "carillon:{nodes}:id:"+id).Result()
		return err == nil && strings.Count(text, ":probe:") == probes
	})
}

// TestAsk_GatewayThatIsCutOffIsNamedAndNotAwaited: its subscription is gone and does not come back. One that does not
// have the namespace hears, and is not named.
func TestAsk_GatewayThatIsCutOffIsNamedAndNotAwaited(t *testing.T) {
	t.Parallel()
	for name, config := range dialects {
		for place, newStage := range map[string]func(*testing.T, redis.Config) *stage{
			"standalone": newStage, "cluster": newClusterStage,
		} {
			t.Run(name+"/"+place, func(t *testing.T) {
				t.Parallel()
				s := newStage(t, config())
				s.allow()
				good, lost := s.started(t, "found", "good"), s.started(t, "lost", s.lost)
				elsewhere := s.started(t, "found", "elsewhere")
				elsewhere.Close("/")
				eventually(t, "elsewhere only", func() bool { return !s.hasNamespace("elsewhere") })
				good.answersRooms("red")
				lost.answersRooms("blue")
				cfg := s.config
				cfg.RequestTimeout = asked
				n := readyNodeWith(t, s.client("found"), cfg)
				n.knows(4)
				outcome := func(what string, answers, missing []string) {
					eventually(t, what, func() bool {
						gotAnswers, gotMissing, took := n.ask()
						if took >= asked {
							t.Errorf("%s: answers %q, missing %q after %s", what, gotAnswers, gotMissing, took)
						}
						return slices.Equal(gotAnswers, answers) && slices.Equal(gotMissing, missing)
					})
				}
				outcome("all answer", []string{"blue", "red"}, nil)
				s.cut()
				outcome("named", []string{"red"}, []string{s.lost})
				s.allow()
				eventually(t, "hears again", func() bool { return lost.confirm() == nil && s.hasNamespace(s.lost) })
				outcome("all answer again", []string{"blue", "red"}, nil)
			})
		}
	}
}

// TestAsk_NodeThatLeftIsNotTakenForCutOff: the one that asks has not read that it left.
func TestAsk_NodeThatLeftIsNotTakenForCutOff(t *testing.T) {
	t.Parallel()
	for name, config := range dialects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, config())
			s.allow()
			leaver := s.started(t, "found", "leaver")
			n := s.started(t, "found", "asker")
			n.knows(2)
			leaver.end()
			if _, missing, took := n.ask(); len(missing) != 0 {
				t.Errorf("missing %q after %s", missing, took)
			}
		})
	}
}

// TestAsk_NodeThatTellsOfNoProbeIsNotTakenForCutOff: it has only just started.
func TestAsk_NodeThatTellsOfNoProbeIsNotTakenForCutOff(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	s.fakeNode("started", `{"id":"started","version":"0.1.0"}`)
	n := readyNode(t, s, redis.Config{RequestTimeout: asked})
	n.knows(2)
	if _, missing, took := n.ask(); len(missing) != 0 || took >= asked {
		t.Errorf("missing %q after %s", missing, took)
	}
}

// TestAsk_NodeWhoseProbeMovedIsNotTakenForCutOff: the one that asks has not read where to.
func TestAsk_NodeWhoseProbeMovedIsNotTakenForCutOff(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	tell := func(probe string) { s.fakeNode("mover", `{"id":"mover","probes":["`+probe+`"]}`) }
	tell("old")
	n := readyNode(t, s, redis.Config{})
	n.knows(2)
	if _, missing, _ := n.ask(); !slices.Equal(missing, []string{"mover"}) {
		t.Errorf("missing %q while it has no probe", missing)
	}
	tell("new")
	s.listen("new")
	if _, missing, _ := n.ask(); len(missing) != 0 {
		t.Errorf("missing %q after its probe moved", missing)
	}
}
