package upstream_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/upstream"
	"github.com/carillon-io/carillon/test/redistest"
)

func do(t *testing.T, c *goredis.Client, command ...any) any {
	t.Helper()
	value, err := c.Do(t.Context(), command...).Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		t.Fatalf("%v: %v", command, err)
	}
	return value
}

// move moves a slot with its keys to another master, a key at a time.
func move(t *testing.T, slot int64, from, to *redistest.Server) {
	t.Helper()
	redistest.BeginMove(uint16(slot), from, to)
	for {
		keys := from.Do("CLUSTER", "GETKEYSINSLOT", slot, 1).([]any)
		if len(keys) == 0 {
			break
		}
		from.Do("MIGRATE", to.Host(), to.Port(), keys[0], 0, 5000)
		time.Sleep(20 * time.Millisecond) // appends meet the slot half moved
	}
	redistest.EndMove(uint16(slot), from, to)
}

func TestCluster_OrderAndAcceptedEventsOutliveSlotMovesAndAFailover(t *testing.T) {
	t.Parallel()
	const sockets, partitions = 10, 4
	cluster := redistest.StartCluster(t, 2, 1)
	servers := cluster.Servers
	client := func() *goredis.ClusterClient {
		return goredis.NewClusterClient(&goredis.ClusterOptions{
			Addrs: cluster.Addresses(), Protocol: 2, MaxRetries: -1, DialTimeout: time.Second, ReadTimeout: time.Second,
			MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		})
	}
	reader := client()
	defer reader.Close()
	n := startWith(t, client(), route(func(r *config.Route) { r.Lifecycle, r.Partitions, r.Deadline = true, partitions, time.Minute }))
	stop := make(chan struct{})
	var mu sync.Mutex
	stored := map[string]string{}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(stored)
	}
	var sending sync.WaitGroup
	for i := range sockets {
		sending.Go(func() {
			sid := fmt.Sprintf("sid-%d", i)
			c := n.open(upstream.Client{ID: sid})
			defer c.leave("bye")
			for e := 0; ; e++ {
				select {
				case <-stop:
					return
				default:
				}
				got := receive(t, "outcome", c.send("orders", "e", strconv.Itoa(e)))
				if got.err != nil {
					t.Errorf("%s: %v", sid, got.err)
					return
				}
				mu.Lock()
				stored[sid+" "+strconv.Itoa(e)] = got.id
				mu.Unlock()
			}
		})
	}
	goOn := func(what string) {
		t.Helper()
		before := count()
		eventually(t, what, func() bool { return count() > before+200 })
	}
	goOn("events are accepted")
	for p := range partitions {
		key := fmt.Sprintf("carillon:up:{orders.%d}", p)
		slot := servers[0].Do("CLUSTER", "KEYSLOT", key).(int64)
		from, to := servers[0], servers[1]
		if slot >= 1<<13 {
			from, to = to, from
		}
		move(t, slot, from, to)
		goOn("events are accepted after the move of " + key)
	}
	servers[2].Do("CLUSTER", "FAILOVER")
	eventually(t, "the replica has taken over", func() bool {
		return strings.Contains(servers[2].Do("INFO", "replication").(string), "role:master")
	})
	goOn("events are accepted after the failover")
	close(stop)
	sending.Wait()
	n.leave(patience)

	seqs, held := map[any]int{}, map[string]string{}
	for p := range partitions {
		entries, err := reader.XRange(t.Context(), fmt.Sprintf("carillon:up:{orders.%d}", p), "-", "+").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			sid := e.Values["sid"]
			seqs[sid]++
			if e.Values["seq"] != strconv.Itoa(seqs[sid]) {
				t.Fatalf("%v: entry %d has seq %v", sid, seqs[sid], e.Values["seq"])
			}
			if e.Values["t"] == "event" {
				held[fmt.Sprint(sid, " ", e.Values["data"])] = e.ID
				if e.Values["data"] != strconv.Itoa(seqs[sid]-2) {
					t.Fatalf("%v: seq %v holds %v", sid, e.Values["seq"], e.Values["data"])
				}
			}
		}
	}
	for what, id := range stored {
		if held[what] != id {
			t.Errorf("%s was accepted as %s, and is %q", what, id, held[what])
		}
	}
	if len(seqs) != sockets {
		t.Errorf("%d sockets have entries", len(seqs))
	}
	t.Logf("%d events accepted", len(stored))
}
