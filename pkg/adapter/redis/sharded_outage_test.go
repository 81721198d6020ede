package redis_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/adapter"
)

// TestSharded_FrozenShardLeavesTheOthersServing: a master stops for longer than the cluster waits for it, and goes on
// as the replica of its own.
func TestSharded_FrozenShardLeavesTheOthersServing(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, true)
	n, other := readyNodeWith(t, c.client(), dynamic()), readyNodeWith(t, c.client(), dynamic())
	frozen, alive := c.roomAt(0), c.roomAt(1)
	n.join(frozen, alive)
	other.until(n, frozen, "before")
	c.servers[0].signal(syscall.SIGSTOP)
	thawed := time.After(6 * time.Second) // the pause is what is tested
	for i := range 50 {
		other.Publish(broadcast(numbered("frozen", i), frozen), nil)
	}
	other.until(n, alive, "alive")
	eventually(t, "noticed", func() bool { return !other.State().Connected && other.metric("redis_up") == 0 })
	<-thawed
	c.servers[0].signal(syscall.SIGCONT)
	eventually(t, "in step with the promoted one", func() bool {
		return strings.Contains(c.servers[0].command("INFO", "replication").Val().(string), "role:slave")
	})
	timed(t, "served again", func() bool {
		other.until(n, frozen, "after")
		return n.State() == adapter.State{Ready: true, Connected: true}
	})
	if err := n.confirm(frozen, alive); err != nil {
		t.Error(err)
	}
	for _, n := range []*node{n, other} {
		eventually(t, "gap counted", func() bool { return n.metric("redis_resubscribes_total") > 0 })
		eventually(t, "up", func() bool { return n.metric("redis_up") == 1 })
	}
	last := -1
	for _, text := range n.heard() {
		for i := range 50 {
			if text == numbered("frozen", i) {
				if i <= last {
					t.Errorf("%s came after number %d", text, last)
				}
				last = i
			}
		}
	}
}
