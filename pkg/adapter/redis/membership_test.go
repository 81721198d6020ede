package redis_test

import (
	"strings"
	"testing"

	"github.com/carillon-io/carillon/pkg/adapter/redis"
)

// knows waits until a node knows that there are so many.
func (n *node) knows(nodes int) {
	n.t.Helper()
	eventually(n.t, "knows the others", func() bool { return n.metric("redis_nodes") == float64(nodes) })
}

// fakeNode writes the record of a node as it would with a heartbeat, and sends no more of them.
func (s *server) fakeNode(id, record string) {
	s.t.Helper()
	time := s.command("TIME").Val().([]any)
	s.command("SET", "carillon:{nodes}:id:"+id, record, "PX", 100_000)
	s.command("ZADD", "carillon:{nodes}", time[0].(string)+"000", id)
	s.command("XADD", "carillon:{nodes}:changes", "*", "node", id, "record", record)
}

func TestHeartbeat_TellsWhoIsThereAndExpires(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := readyNode(t, s, redis.Config{NodeID: "a", Tag: "TAGa", Version: "1.2.3", PeerAddress: func() string { return "http://10.0.0.7:9091" }})
	b := readyNode(t, s, redis.Config{NodeID: "b"})
	a.knows(2)
	b.knows(2)
	want := `{"id":"a","tags":["TAGa"],"address":"http://10.0.0.7:9091","version":"1.2.3","probes":["carillon:probe:a"]}`
	eventually(t, "says all of itself", func() bool { return s.command("GET", "carillon:{nodes}:id:a").Val() == want })
	if got := s.command("GET", "carillon:{nodes}:tag:TAGa").Val(); got != "a" {
		t.Errorf("tag claimed by %v", got)
	}
	keys := s.command("KEYS", "*").Val().([]any)
	for _, key := range keys {
		if ttl := s.command("PTTL", key).Val().(int64); ttl <= 0 || !strings.HasPrefix(key.(string), "carillon:{nodes}") {
			t.Errorf("%v expires in %d ms", key, ttl)
		}
	}
	b.end()
	a.knows(1)
	if keys := s.command("KEYS", "*:tag:*").Val().([]any); len(keys) != 1 {
		t.Errorf("tags %v", keys)
	}
	a.end()
	if keys := s.command("KEYS", "*:tag:*").Val().([]any); len(keys) != 0 {
		t.Errorf("tags after leaving: %v", keys)
	}
}

func TestHeartbeat_ComesBackAfterRedisLostEverything(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := readyNode(t, s, redis.Config{NodeID: "a", Tag: "TAGa"})
	b := readyNode(t, s, redis.Config{NodeID: "b", Tag: "TAGb"})
	a.knows(2)
	b.knows(2)
	s.stop()
	s.start()
	eventually(t, "both are back", func() bool {
		return len(s.command("KEYS", "carillon:{nodes}:*:*").Val().([]any)) == 4
	})
	if a.metric("redis_nodes") != 2 || a.metric("redis_tag_conflicts_total")+b.metric("redis_tag_conflicts_total") != 0 {
		t.Error("a restart counts as nodes leaving, or as a conflict")
	}
}
