package socketio_test

import (
	"sync/atomic"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/adapter/adaptertest"
	"github.com/carillon-io/carillon/pkg/adapter/redis"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/test/redistest"
)

// onServersOfACluster starts servers on a Redis Cluster of three, at each of which some of the channels are.
func onServersOfACluster(t *testing.T) starter {
	return func(configs ...socketio.Config) ([]*socketio.Server, []string) {
		c := redistest.StartCluster(t, 3, 0)
		for i := range configs {
			a, err := redis.New(c.Client(goredis.ClusterOptions{}), redis.Config{Tag: "tag" + itoa(i), Sharding: &redis.Sharding{}, Fences: true})
			if err != nil {
				t.Fatal(err)
			}
			configs[i].Adapter, configs[i].Engine.Tag = a, a.Tag
		}
		return run(t, configs)
	}
}

func TestMove_OverTheServersOfACluster(t *testing.T) {
	t.Run("one client", func(t *testing.T) { comesBackToAnotherNode(t, severally(t, onServersOfACluster(t), 3, nil)) })
	t.Run("under load", func(t *testing.T) { underLoad(t, severally(t, onServersOfACluster(t), 3, nil)) })
}

// TestMove_ASubscriptionIsLostMeanwhile at the new node, which had confirmed it: the session stays, and moves with the next claim.
func TestMove_ASubscriptionIsLostMeanwhile(t *testing.T) {
	var cluster *adaptertest.Cluster
	s := severally(t, func(configs ...socketio.Config) (nodes []*socketio.Server, urls []string) {
		nodes, urls, cluster = memoryCluster(t, configs...)
		return nodes, urls
	}, 2, nil)
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	var cuts atomic.Int32
	s.peers[1].lost = func(call string) bool {
		if call == "cut" && cuts.Add(1) == 1 {
			cluster.Adapter(1).Break()
		}
		return false
	}
	c.sentAway(t, s.urls[1])
	c.url = s.urls[1]
	if !c.back() {
		t.Fatal("not recovered")
	}
	c.expectEvents(`["2"]`)
}

// TestMove_TheOwnerDiesInTheMiddle: while it may still be alive the client tries again, and then it is a new socket.
func TestMove_TheOwnerDiesInTheMiddle(t *testing.T) {
	s := inMemory(t, 2, nil)
	c, socket := s.inRoom(t)
	s.away(t, c, socket)
	s.peers[1].lost = func(call string) bool { return call == "cut" }
	c.sentAway(t, s.urls[1])
	delete(s.peers[1].urls, "tag0")
	c.url = s.urls[1]
	if before := c.sid; c.back() || c.sid == before {
		t.Error("recovered")
	}
}
