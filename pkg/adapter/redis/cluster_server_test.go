package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/carillon-io/carillon/internal/redisconn"
)

// cluster is a Redis Cluster of the test's own. The masters come first, and then one replica for each, if there are.
type cluster struct {
	t       testing.TB
	servers []*clusterNode
	masters int
}

// clusterNode is one server of a cluster. It remembers the others when it is started again.
type clusterNode struct {
	*server

	bus, dir string
	options  []string // besides those that all have
}

// startCluster starts a cluster that has spread its slots evenly over the masters. What options return is for one
// server each.
func startCluster(t testing.TB, masters int, replicas bool, options ...func() []string) *cluster {
	t.Helper()
	c := &cluster{t: t, masters: masters}
	n := masters
	if replicas {
		n *= 2
	}
	for range n {
		s := &clusterNode{server: newServer(t), bus: newServer(t).port(), dir: t.TempDir()}
		for _, more := range options {
			s.options = append(s.options, more()...)
		}
		s.start()
		c.servers = append(c.servers, s)
	}
	for i, s := range c.servers[:masters] {
		s.command("CLUSTER", "ADDSLOTSRANGE", i*redisconn.Slots/masters, (i+1)*redisconn.Slots/masters-1)
		s.command("CLUSTER", "SET-CONFIG-EPOCH", i+1)
	}
	for _, s := range c.servers[1:] {
		c.servers[0].command("CLUSTER", "MEET", s.host(), s.port(), s.bus)
	}
	eventually(t, "all masters know one another", func() bool { return c.all("cluster_state:ok", "CLUSTER", "INFO") })
	eventually(t, "all nodes know one another", func() bool {
		return c.all(fmt.Sprint("cluster_known_nodes:", n), "CLUSTER", "INFO")
	})
	for i, s := range c.servers[masters:] {
		s.command("CLUSTER", "REPLICATE", c.servers[i].id())
	}
	if replicas {
		eventually(t, "all replicas are known", func() bool {
			for _, s := range c.servers {
				if strings.Count(s.command("CLUSTER", "NODES").Val().(string), "slave") != masters {
					return false
				}
			}
			return true
		})
		eventually(t, "all replicas are in step", func() bool {
			for _, s := range c.servers[masters:] {
				if !strings.Contains(s.command("INFO", "replication").Val().(string), "master_link_status:up") {
					return false
				}
			}
			return true
		})
	}
	return c
}

// start starts the server. Its bus is at a port that was free, since the usual distance to it may lead past the last.
func (s *clusterNode) start() {
	s.t.Helper()
	s.server.start(append([]string{
		"--dir", s.dir, "--cluster-enabled", "yes", "--cluster-port", s.bus, "--cluster-node-timeout", "1000",
	}, s.options...)...)
}

func (s *server) host() string    { return strings.Split(s.address, ":")[0] }
func (s *server) port() string    { return strings.Split(s.address, ":")[1] }
func (s *clusterNode) id() string { return s.command("CLUSTER", "MYID").Val().(string) }

// all reports whether what every node answers contains a text.
func (c *cluster) all(text string, command ...any) bool {
	c.t.Helper()
	for _, s := range c.servers {
		if !strings.Contains(s.command(command...).Val().(string), text) {
			return false
		}
	}
	return true
}

// client returns a client that knows all nodes and is closed with the test.
func (c *cluster) client() *goredis.ClusterClient {
	var addresses []string
	for _, s := range c.servers {
		addresses = append(addresses, s.address)
	}
	return c.clientWith(&goredis.ClusterOptions{Addrs: addresses})
}

func (c *cluster) clientWith(options *goredis.ClusterOptions) *goredis.ClusterClient {
	// go-redis leaves goroutines behind with every node that it finds twice.
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	client := goredis.NewClusterClient(options)
	c.t.Cleanup(func() { _ = client.Close() })
	return client
}

// owner is which of the first masters has a channel's slot at the beginning.
func (c *cluster) owner(channel string) int {
	return slices.IndexFunc(c.servers[:c.masters], func(s *clusterNode) bool {
		i := slices.Index(c.servers, s)
		return int(redisconn.Slot(channel)) < (i+1)*redisconn.Slots/c.masters
	})
}

// roomAt finds a room whose channel a master has.
func (c *cluster) roomAt(master int) string {
	for i := 0; ; i++ {
		if room := fmt.Sprint("room-", i); c.owner("socket.io#/#"+room+"#") == master {
			return room
		}
	}
}

// move moves a slot between masters, as redis-cli does when there are no keys in it.
func (c *cluster) move(slot uint16, from, to *clusterNode) {
	c.t.Helper()
	c.beginMove(slot, from, to)
	to.command("CLUSTER", "SETSLOT", slot, "NODE", to.id())
	from.command("CLUSTER", "SETSLOT", slot, "NODE", to.id())
}

// beginMove makes the new master take the keys that the old one does not have.
func (c *cluster) beginMove(slot uint16, from, to *clusterNode) {
	c.t.Helper()
	to.command("CLUSTER", "SETSLOT", slot, "IMPORTING", from.id())
	from.command("CLUSTER", "SETSLOT", slot, "MIGRATING", to.id())
}

// timed waits as eventually does, and logs how long it took.
func timed(t testing.TB, what string, condition func() bool) {
	t.Helper()
	started := time.Now()
	eventually(t, what, condition)
	t.Logf("%s after %s", what, time.Since(started).Round(time.Millisecond))
}
