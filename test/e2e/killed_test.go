package e2e

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

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

// `make soak-kill` is the long form of TestKill_WithStreamsEveryClientIsRecovered.
var (
	kills       = flag.Int("kills", 4, "how often a node is killed")
	killPeriod  = flag.Duration("kill-period", 3*time.Second, "the time from one kill to the next")
	killClients = flag.Int("kill-clients", 12, "how many clients there are")
)

func TestKill_WithStreamsEveryClientIsRecovered(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	nodes, addresses := startStreams(t, redis, 3)
	limit := 5*time.Minute + 2*time.Duration(*kills)**killPeriod
	runJSWithin(t, limit, "killed", append(rolling(nodes), "REDIS="+redis, "NODES="+addresses, fmt.Sprint("KILLS=", *kills),
		fmt.Sprint("PERIOD=", killPeriod.Milliseconds()), fmt.Sprint("CLIENTS=", *killClients))...)
}

func TestStreams_ClientsComeBackToNodeAndFromNode(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	nodes, addresses := startStreams(t, redis, 1)
	runJS(t, "streams-return", append(rolling(nodes), "REDIS="+redis, "NODES="+addresses)...)
}
