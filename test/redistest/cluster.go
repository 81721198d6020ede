package redistest

import (
	"fmt"
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/carillon-io/carillon/test/program"
)

// slots is how many hash slots a Redis Cluster has.
const slots = 1 << 14

// Cluster is a Redis Cluster of a test.
type Cluster struct {
	Servers []*Server // the masters first, then the replicas, the first of which is one of the first master, and so on
	Masters int

	t testing.TB
}

// StartCluster starts a cluster whose masters have each an even part of the slots, in order, and waits until every server
// knows of all, and the replicas have their masters' data. Each call of options returns more options for one server.
func StartCluster(t testing.TB, masters, replicas int, options ...func() []string) *Cluster {
	t.Helper()
	c := &Cluster{t: t, Masters: masters}
	buses := make([]string, masters+replicas)
	for i := range buses {
		// The usual distance from a server's port to that of its bus may lead beyond the last port, or to one that is taken.
		_, buses[i], _ = strings.Cut(program.FreeAddress(t), ":")
		all := []string{
			"--cluster-enabled", "yes", "--cluster-port", buses[i], "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", "0",
		}
		for _, more := range options {
			all = append(all, more()...)
		}
		c.Servers = append(c.Servers, Start(t, all...))
	}
	for i, s := range c.Servers {
		s.Do("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i < masters {
			s.Do("CLUSTER", "ADDSLOTSRANGE", i*slots/masters, (i+1)*slots/masters-1)
		}
		for j, other := range c.Servers[:i] {
			s.Do("CLUSTER", "MEET", other.Host(), other.Port(), buses[j])
		}
	}
	c.await("the cluster is whole", "cluster_state:ok", "CLUSTER", "INFO")
	c.await("all servers know one another", fmt.Sprint("cluster_known_nodes:", len(c.Servers)), "CLUSTER", "INFO")
	for i, s := range c.Servers[masters:] {
		s.Do("CLUSTER", "REPLICATE", c.Servers[i%masters].ID())
	}
	eventually(t, "all replicas are known", func() bool {
		for _, s := range c.Servers {
			if strings.Count(s.Do("CLUSTER", "NODES").(string), "slave") != replicas {
				return false
			}
		}
		return true
	})
	for _, s := range c.Servers[masters:] {
		s.awaitMaster()
	}
	return c
}

func (c *Cluster) await(what, text string, command ...any) {
	c.t.Helper()
	eventually(c.t, what, func() bool {
		for _, s := range c.Servers {
			if !strings.Contains(s.Do(command...).(string), text) {
				return false
			}
		}
		return true
	})
}

// Addresses are those of all servers.
func (c *Cluster) Addresses() []string {
	var list []string
	for _, s := range c.Servers {
		list = append(list, s.Address)
	}
	return list
}

// Client returns a client of the cluster that is closed with the test. Options without addresses get all of them.
func (c *Cluster) Client(options goredis.ClusterOptions) *goredis.ClusterClient {
	if options.Addrs == nil {
		options.Addrs = c.Addresses()
	}
	// go-redis leaves goroutines behind with every server that it finds twice.
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	client := goredis.NewClusterClient(&options)
	c.t.Cleanup(func() { _ = client.Close() })
	return client
}

// ID is a server's name in its cluster.
func (s *Server) ID() string {
	s.t.Helper()
	return s.Do("CLUSTER", "MYID").(string)
}

// BeginMove begins to move a slot between masters: keys that the old one does not have are the new one's.
func BeginMove(slot uint16, from, to *Server) {
	to.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", from.ID())
	from.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", to.ID())
}

// EndMove gives the slot to the new master. Its keys must have been moved.
func EndMove(slot uint16, from, to *Server) {
	to.Do("CLUSTER", "SETSLOT", slot, "NODE", to.ID())
	from.Do("CLUSTER", "SETSLOT", slot, "NODE", to.ID())
}
