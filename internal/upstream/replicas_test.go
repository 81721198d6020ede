package upstream_test

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/upstream"
)

func TestReplicas_AnEventIsAcceptedOnlyOnceAReplicaHasIt(t *testing.T) {
	t.Parallel()
	s, replica := startServer(t), startServer(t)
	host, port, _ := net.SplitHostPort(s.Address)
	follow := func() {
		do(t, replica.Client, "REPLICAOF", host, port)
		eventually(t, "the replica is in step", func() bool {
			return strings.Contains(do(t, replica.Client, "INFO", "replication").(string), "master_link_status:up")
		})
	}
	follow()
	n := startNode(t, s, route(func(r *config.Route) { r.Replicas, r.Deadline = 1, 2*time.Second }))
	c := n.open(upstream.Client{ID: "sid"})
	eventually(t, "an event is accepted", func() bool {
		got := receive(t, "outcome", c.send("orders", "e", "[]"))
		return got.err == nil && replica.Client.XRange(t.Context(), orders, got.id, got.id).Val() != nil
	})
	replica.Kill()
	got := receive(t, "outcome", c.send("orders", "lonely", "[]"))
	if !errors.Is(got.err, upstream.ErrUnavailable) {
		t.Errorf("without a replica: %v", got.err)
	}
	replica.Start()
	follow()
	eventually(t, "events are accepted again", func() bool {
		return receive(t, "outcome", c.send("orders", "e", "[]")).err == nil
	})
	lonely := 0
	for _, e := range s.entries(orders) {
		if e.Values["ev"] == "lonely" {
			lonely++
		}
	}
	if lonely != 1 {
		t.Errorf("the event that was not replicated in time stands %d times", lonely)
	}
}
