package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/emitter"
)

func TestTLS_OnACluster(t *testing.T) {
	t.Parallel()
	certificates := newCertificates(t)
	var secure []string
	c := startCluster(t, 3, false, func() []string {
		s := newServer(t) // only for its address
		secure = append(secure, s.address)
		return []string{
			"--tls-port", s.port(), "--tls-cluster", "yes", "--tls-cert-file", certificates.certFile,
			"--tls-key-file", certificates.keyFile, "--tls-ca-cert-file", certificates.caFile,
		}
	})
	for name, config := range dialects {
		t.Run(name, func(t *testing.T) {
			client := func() *goredis.ClusterClient {
				return c.clientWith(&goredis.ClusterOptions{Addrs: secure, TLSConfig: certificates.client.Clone()})
			}
			a, b := readyNodeWith(t, client(), config()), readyNodeWith(t, client(), config())
			rooms := []string{c.roomAt(0), c.roomAt(1), c.roomAt(2)} // one at each master
			a.join(rooms...)
			b.join(rooms...)
			for _, room := range rooms {
				talk(t, a, b, room)
			}
			for _, s := range c.servers {
				if list := s.command("CLIENT", "LIST", "TYPE", "pubsub").Val().(string); strings.Contains(list, " laddr="+s.address+" ") {
					t.Errorf("subscribed without TLS: %s", list)
				}
				s.command("CLIENT", "KILL", "TYPE", "pubsub")
			}
			for _, room := range rooms {
				a.until(b, room, "after "+room)
			}
		})
	}
	untrusting := certificates.client.Clone()
	untrusting.RootCAs = nil
	n := newNodeWith(t, c.clientWith(&goredis.ClusterOptions{Addrs: secure, TLSConfig: untrusting}),
		redis.Config{RequestTimeout: 300 * time.Millisecond})
	if err := n.confirm(); err == nil || n.State().Connected {
		t.Error("connected to an unknown authority")
	}
}

func TestACL_RecommendedGatewayUserOnACluster(t *testing.T) {
	t.Parallel()
	for name, config := range dialects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startCluster(t, 3, false)
			user := gatewayUser + " " + clusterRights
			switch name {
			case "sharded":
				user += " " + shardedRights
			case "streams":
				user += " " + streamsRights
			}
			var addresses []string
			for _, s := range c.servers {
				s.user(t, user)
				addresses = append(addresses, s.address)
			}
			client := func() *goredis.ClusterClient {
				return c.clientWith(&goredis.ClusterOptions{
					Addrs: addresses, Username: "gateway", Password: "secret", Protocol: 2, DisableIdentity: true,
				})
			}
			cfg := config()
			cfg.Linger, cfg.Fences = time.Millisecond, cfg.Streams == nil
			a, b := readyNodeWith(t, client(), cfg), readyNodeWith(t, client(), cfg)
			b.answersRooms("red")
			rooms := []string{c.roomAt(0), c.roomAt(1), c.roomAt(2)} // one at each master
			a.join(rooms...)
			b.join(rooms...)
			for _, room := range rooms {
				talk(t, a, b, room)
			}
			if cfg.Fences {
				if _, err := a.fence(rooms...); err != nil {
					t.Errorf("fence: %v", err)
				}
			}
			a.knows(2)
			if answers, missing, _ := a.ask(); len(answers) != 1 || len(missing) != 0 {
				t.Errorf("answers %q, missing %q", answers, missing)
			}
			if name == "sharded" {
				before := a.metric("redis_resubscribes_total")
				c.move(redisconn.Slot("socket.io#/#"+rooms[0]+"#"), c.servers[0], c.servers[1])
				eventually(t, "moved", func() bool { return a.metric("redis_resubscribes_total") > before })
			}
			// The keys of the nodes are being moved: a new one is already kept at the other master. Heartbeats, which need
			// several keys, wait; questions and look-ups go on.
			from := c.owner("carillon:{nodes}")
			slot, source, target := redisconn.Slot("carillon:{nodes}"), c.servers[from], c.servers[(from+1)%3]
			c.beginMove(slot, source, target)
			if owners, err := a.Owners(t.Context(), "TAGz"); len(owners) != 0 || err != nil {
				t.Errorf("owners %q, %v", owners, err)
			}
			if answers, missing, _ := a.ask(); len(answers) != 1 || len(missing) != 0 {
				t.Errorf("answers %q, missing %q while keys move", answers, missing)
			}
			source.command("CLUSTER", "SETSLOT", slot, "STABLE")
			target.command("CLUSTER", "SETSLOT", slot, "STABLE")
			readyNodeWith(t, client(), cfg).end()
			for _, s := range c.servers {
				s.command("CLIENT", "KILL", "USER", "gateway")
			}
			for _, room := range rooms {
				a.until(b, room, "after "+room)
			}
			a.drop(rooms...)
			a.end()
			b.end()
			for i, s := range c.servers {
				if log := s.command("ACL", "LOG").Val().([]any); len(log) != 0 {
					t.Errorf("refused at master %d: %v", i, log)
				}
			}
		})
	}
}

// What an emitter publishes in a namespace goes through one master, or a room could be addressed before the command comes
// that makes sockets join it.
func TestEmitter_OnAClusterKeepsTheOrderOfANamespace(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, false)
	n := readyNodeWith(t, c.client(), redis.Config{})
	e := emitter.New(c.client(), emitter.Config{})
	var want []string
	for i := range 50 {
		room := fmt.Sprint("room-", i)
		for _, err := range []error{e.SocketsJoin(t.Context(), room), e.To(room).Emit(t.Context(), "x", i), e.To("a").Emit(t.Context(), "a")} {
			if err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, fmt.Sprintf("join [%s]", room), fmt.Sprintf(`["x",%d]`, i))
	}
	eventually(t, "all delivered", func() bool { return len(n.delivered()) == len(want) })
	var got []string
	for _, command := range n.delivered() {
		switch command := command.(type) {
		case adapter.Join:
			got = append(got, fmt.Sprint("join ", command.Rooms))
		case adapter.Broadcast:
			got = append(got, string(command.Args.JSON))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("delivered %q", got)
	}
	masters := 0
	for _, s := range c.servers {
		if s.info("commandstats", `cmdstat_publish:calls=(\d+)`) >= 150 {
			masters++
		}
	}
	if masters != 1 {
		t.Errorf("published at %d masters", masters)
	}
}
