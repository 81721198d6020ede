package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
)

// promised is how soon after a node was killed backends know that its clients are gone.
const promised = 30 * time.Second

// TestLost_BackendsLearnOfEveryDisconnectOnce: of three nodes two are killed at the same time, and the last one leaves.
func TestLost_BackendsLearnOfEveryDisconnectOnce(t *testing.T) {
	t.Parallel()
	const each = 20
	url := startRedis(t)
	options, err := goredis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	redis := goredis.NewClient(options)
	defer redis.Close()
	var nodes []node
	for i := range 3 {
		nodes = append(nodes, launchNodeWith(t, fmt.Sprintf("node %d", i), url, "ping_interval: 25s, ping_timeout: 20s", `
  /orders:
    rules: [{event: order, do: [{forward: orders}], ack: accepted}]
routes: {orders: {partitions: 2, lifecycle: true}}
`))
	}
	for _, n := range nodes {
		n.Await(func() bool { return strings.Contains(n.Text(), "subscribed") })
	}
	dies := map[string]bool{}
	for i, n := range nodes {
		for range each {
			c := socketiotest.Dial(t, "http://"+n.address, socketiotest.Options{Namespace: "/orders", Patience: patience})
			if got := c.EmitWithAck("order", c.ID()); !strings.HasPrefix(string(got.JSON), `[{"ok":true,"id":"`) {
				t.Fatalf("an order is answered %s", got.JSON)
			}
			dies[c.ID()] = i < 2
		}
	}
	for _, n := range nodes[:2] {
		_ = n.Cmd.Process.Signal(syscall.SIGKILL)
	}
	killed := time.Now()
	live := func() (n int64) {
		for p := range 2 {
			n += redis.HLen(t.Context(), fmt.Sprintf("carillon:live:{orders.%d}", p)).Val()
		}
		return n
	}
	nodes[2].Await(func() bool { return live() == each })
	if after := time.Since(killed); after > promised {
		t.Errorf("the last disconnect was told after %v", after)
	} else {
		t.Logf("all disconnects were told after %v", after.Round(time.Millisecond))
	}
	nodes[2].Stop(syscall.SIGTERM)

	ends, seqs := map[string]string{}, map[string]int{}
	for p := range 2 {
		entries, err := redis.XRange(t.Context(), fmt.Sprintf("carillon:up:{orders.%d}", p), "-", "+").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			sid := e.Values["sid"].(string)
			seqs[sid]++
			if e.Values["seq"] != strconv.Itoa(seqs[sid]) || ends[sid] != "" {
				t.Errorf("%s: entry %d is %v", sid, seqs[sid], e.Values)
			}
			if e.Values["t"] == "disconnected" {
				ends[sid] = e.Values["reason"].(string)
			}
		}
	}
	for sid, killed := range dies {
		want := "server shutting down"
		if killed {
			want = "node lost"
		}
		if ends[sid] != want || seqs[sid] != 3 {
			t.Errorf("%s has %d entries and ends with %q, want 3 and %q", sid, seqs[sid], ends[sid], want)
		}
	}
	if len(seqs) != len(dies) {
		t.Errorf("%d sockets have entries, want %d", len(seqs), len(dies))
	}
}
