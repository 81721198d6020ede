package upstream_test

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/upstream"
)

const slots = 1 << 14

// startCluster starts a Redis Cluster of two masters and a replica of the first.
func startCluster(t *testing.T) []*goredis.Client {
	t.Helper()
	var servers []*goredis.Client
	var buses []string
	for range 3 {
		address, bus, dir := freeAddress(t), freeAddress(t), t.TempDir()
		_, port, _ := net.SplitHostPort(address)
		_, busPort, _ := net.SplitHostPort(bus)
		cmd := exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", dir,
			"--cluster-enabled", "yes", "--cluster-port", busPort, "--cluster-node-timeout", "1000")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
		client := goredis.NewClient(&goredis.Options{Addr: address, Protocol: 2})
		t.Cleanup(func() { _ = client.Close() })
		eventually(t, "redis-server answers", func() bool { return client.Ping(t.Context()).Err() == nil })
		do(t, client, "CLUSTER", "SET-CONFIG-EPOCH", len(servers)+1)
		if len(servers) > 0 {
			_, first, _ := net.SplitHostPort(servers[0].Options().Addr)
			do(t, client, "CLUSTER", "MEET", "127.0.0.1", first, buses[0])
		}
		buses = append(buses, busPort)
		servers = append(servers, client)
	}
	do(t, servers[0], "CLUSTER", "ADDSLOTSRANGE", 0, slots/2-1)
	do(t, servers[1], "CLUSTER", "ADDSLOTSRANGE", slots/2, slots-1)
	all := func(text string, command ...any) func() bool {
		return func() bool {
			for _, s := range servers {
				if !strings.Contains(do(t, s, command...).(string), text) {
					return false
				}
			}
			return true
		}
	}
	eventually(t, "the cluster is whole", all("cluster_state:ok", "CLUSTER", "INFO"))
	eventually(t, "all know one another", all("cluster_known_nodes:3", "CLUSTER", "INFO"))
	do(t, servers[2], "CLUSTER", "REPLICATE", id(t, servers[0]))
	eventually(t, "the replica is known", all("slave", "CLUSTER", "NODES"))
	eventually(t, "the replica is in step", func() bool {
		return strings.Contains(do(t, servers[2], "INFO", "replication").(string), "master_link_status:up")
	})
	return servers
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func do(t *testing.T, c *goredis.Client, command ...any) any {
	t.Helper()
	value, err := c.Do(t.Context(), command...).Result()
	if err != nil && !errors.Is(err, goredis.Nil) {
		t.Fatalf("%v: %v", command, err)
	}
	return value
}

func id(t *testing.T, c *goredis.Client) string { return do(t, c, "CLUSTER", "MYID").(string) }

// move moves a slot with its keys to another master, a key at a time.
func move(t *testing.T, slot int64, from, to *goredis.Client) {
	t.Helper()
	do(t, to, "CLUSTER", "SETSLOT", slot, "IMPORTING", id(t, from))
	do(t, from, "CLUSTER", "SETSLOT", slot, "MIGRATING", id(t, to))
	_, port, _ := net.SplitHostPort(to.Options().Addr)
	for {
		keys := do(t, from, "CLUSTER", "GETKEYSINSLOT", slot, 1).([]any)
		if len(keys) == 0 {
			break
		}
		do(t, from, "MIGRATE", "127.0.0.1", port, keys[0], 0, 5000)
		time.Sleep(20 * time.Millisecond) // appends meet the slot half moved
	}
	for _, s := range []*goredis.Client{to, from} {
		do(t, s, "CLUSTER", "SETSLOT", slot, "NODE", id(t, to))
	}
}

func TestCluster_OrderAndAcceptedEventsOutliveSlotMovesAndAFailover(t *testing.T) {
	const sockets, partitions = 10, 4
	servers := startCluster(t)
	var addresses []string
	for _, s := range servers {
		addresses = append(addresses, s.Options().Addr)
	}
	client := func() *goredis.ClusterClient {
		return goredis.NewClusterClient(&goredis.ClusterOptions{
			Addrs: addresses, Protocol: 2, MaxRetries: -1, DialTimeout: time.Second, ReadTimeout: time.Second,
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
		slot := do(t, servers[0], "CLUSTER", "KEYSLOT", key).(int64)
		from, to := servers[0], servers[1]
		if slot >= slots/2 {
			from, to = to, from
		}
		move(t, slot, from, to)
		goOn("events are accepted after the move of " + key)
	}
	do(t, servers[2], "CLUSTER", "FAILOVER")
	eventually(t, "the replica has taken over", func() bool {
		return strings.Contains(do(t, servers[2], "INFO", "replication").(string), "role:master")
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
