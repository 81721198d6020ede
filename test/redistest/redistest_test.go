package redistest_test

import (
	"strings"
	"testing"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/test/program"
	"github.com/carillon-io/carillon/test/redistest"
)

func TestServer_KeepsItsAddressAndDurableDataOverAKill(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.Durable...)
	s.Do("SET", "key", "value")
	for range 2 {
		s.Kill()
		if program.Accepts(s.Address) {
			t.Fatal("a killed server accepts connections")
		}
		s.Start()
		if got := s.Do("GET", "key"); got != "value" {
			t.Fatalf("holds %v", got)
		}
	}
}

func TestSentinel_FailsOver(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	master.Do("SET", "key", "value")
	redistest.StartReplica(t, master)
	sentinel := redistest.StartSentinel(t, master)
	client := goredis.NewFailoverClient(&goredis.FailoverOptions{MasterName: "main", SentinelAddrs: []string{sentinel.Address}, MaxRetries: 100})
	defer func() { _ = client.Close() }()
	master.Kill()
	if got, err := client.Get(t.Context(), "key").Result(); got != "value" {
		t.Fatal(got, err)
	}
}

func TestCluster_ServesEverySlotAndMovesThem(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, 2, 1)
	client := c.Client(goredis.ClusterOptions{})
	for _, key := range strings.Split("abcdefghijklmnopqrstuvwxyz", "") {
		if err := client.Set(t.Context(), key, key, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	slot := client.ClusterKeySlot(t.Context(), "moved").Val()
	from, to := c.Servers[0], c.Servers[1]
	if slot >= 8192 {
		from, to = to, from
	}
	redistest.BeginMove(uint16(slot), from, to)
	redistest.EndMove(uint16(slot), from, to)
	if err := client.Set(t.Context(), "moved", "here", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got := to.Do("GET", "moved"); got != "here" {
		t.Fatalf("the new master holds %v", got)
	}
	if c.Servers[2].Do("ROLE").([]any)[0] != "slave" {
		t.Error("the third is no replica")
	}
}
