package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/test/program"
)

func TestRelay_RoundRobinWithoutStickiness(t *testing.T) {
	redis := startRedis(t)
	var peers []string
	for range 3 {
		peers = append(peers, program.FreeAddress(t))
	}
	var nodes []node
	for i, peer := range peers {
		t.Setenv("CARILLON_PEER_ADDRESS", peer)
		t.Setenv("CARILLON_PEER_SECRET", "a secret of this test")
		t.Setenv("CARILLON_PEER_NODES", "http://"+strings.Join(peers, ",http://"))
		nodes = append(nodes, launchNodeWith(t, fmt.Sprintf("node %d", i), redis, "eio3: true", ""))
	}
	var servers strings.Builder
	for i, n := range nodes {
		n.Await(func() bool { return program.Answers200("http://" + n.ops + "/readyz") })
		fmt.Fprintf(&servers, "  server node%d %s check inter 200ms\n", i, n.address)
	}
	runJS(t, "relay", "PROXY="+startProxyOf(t, "  balance roundrobin\n"+servers.String()))
}
