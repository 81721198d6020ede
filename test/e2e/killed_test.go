package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/test/program"
)

// startStreams runs nodes whose commands go through streams, where the clients' sessions are, too.
func startStreams(t *testing.T, redis string, count int) (nodes []node, addresses string) {
	t.Helper()
	var list []string
	for i := range count {
		n := launchNodeWith(t, fmt.Sprintf("node %d", i), redis, "ping_interval: 5s, ping_timeout: 4s", "\nsocketio: {recovery: {enabled: true}}\n", "CARILLON_ADAPTER_KIND=streams")
		nodes, list = append(nodes, n), append(list, "http://"+n.address)
	}
	for _, n := range nodes {
		n.Await(func() bool { return program.Answers200("http://" + n.ops + "/readyz") })
	}
	return nodes, strings.Join(list, ",")
}

func TestKill_WithStreamsEveryClientIsRecovered(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	nodes, addresses := startStreams(t, redis, 3)
	runJS(t, "killed", append(rolling(nodes), "REDIS="+redis, "NODES="+addresses)...)
}

func TestStreams_ClientsComeBackToNodeAndFromNode(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	nodes, addresses := startStreams(t, redis, 1)
	runJS(t, "streams-return", append(rolling(nodes), "REDIS="+redis, "NODES="+addresses)...)
}
