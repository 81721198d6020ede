package redis_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/redisconn"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/test/redistest"
)

// cluster is a Redis Cluster of the test's own. The masters come first, and then one replica for each, if there are.
type cluster struct {
	*redistest.Cluster

	t       testing.TB
	servers []*server
	masters int
}

// startCluster starts a cluster that has spread its slots evenly over the masters. What options return is for one
// server each.
func startCluster(t testing.TB, masters int, replicas bool, options ...func() []string) *cluster {
	t.Helper()
	n := 0
	if replicas {
		n = masters
	}
	c := &cluster{Cluster: redistest.StartCluster(t, masters, n, options...), t: t, masters: masters}
	for _, s := range c.Servers {
		c.servers = append(c.servers, wrap(t, s))
	}
	return c
}

// client returns a client that knows all nodes and is closed with the test.
func (c *cluster) client() *goredis.ClusterClient { return c.Client(goredis.ClusterOptions{}) }

func (c *cluster) clientWith(options *goredis.ClusterOptions) *goredis.ClusterClient {
	return c.Client(*options)
}

// owner is which of the first masters has a channel's slot at the beginning.
func (c *cluster) owner(channel string) int {
	return slices.IndexFunc(c.servers[:c.masters], func(s *server) bool {
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
func (c *cluster) move(slot uint16, from, to *server) {
	c.t.Helper()
	redistest.BeginMove(slot, from.Server, to.Server)
	redistest.EndMove(slot, from.Server, to.Server)
}

// failOver ends a master and waits for its replica, and then until what other publishes to red reaches n again.
func (c *cluster) failOver(master int, n, other *node) {
	c.t.Helper()
	c.servers[master].stop()
	eventually(c.t, "the replica is promoted", c.servers[c.masters+master].isMaster)
	timed(c.t, "delivered again", func() bool {
		other.until(n, "red", "promoted")
		return n.State() == adapter.State{Ready: true, Connected: true}
	})
}

// beginMove makes the new master take the keys that the old one does not have.
func (c *cluster) beginMove(slot uint16, from, to *server) {
	c.t.Helper()
	redistest.BeginMove(slot, from.Server, to.Server)
}

// timed waits as eventually does, and logs how long it took.
func timed(t testing.TB, what string, condition func() bool) {
	t.Helper()
	started := time.Now()
	eventually(t, what, condition)
	t.Logf("%s after %s", what, time.Since(started).Round(time.Millisecond))
}
