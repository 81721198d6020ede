package e2e

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/test/program"
)

func TestRelay_RoundRobinWithoutStickiness(t *testing.T) {
	nodes := startPeers(t, startRedis(t))
	runJS(t, "relay", "PROXY="+startRoundRobin(t, nodes))
}

func TestRoll_ThreeNodesOneAfterTheOther(t *testing.T) {
	t.Setenv("CARILLON_DRAIN_DELAY", "500ms")
	t.Setenv("CARILLON_DRAIN_WINDOW", "4s")
	redis := startRedis(t)
	nodes := startPeers(t, redis)
	var pids, configs, ops []string
	for _, n := range nodes {
		pids = append(pids, strconv.Itoa(n.Cmd.Process.Pid))
		configs = append(configs, n.Cmd.Args[len(n.Cmd.Args)-1])
		ops = append(ops, "http://"+n.ops)
	}
	runJS(t, "roll", "PROXY="+startRoundRobin(t, nodes), "REDIS="+redis, "BINARY="+gatewayBinary,
		"PIDS="+strings.Join(pids, ","), "CONFIGS="+strings.Join(configs, ","), "OPS="+strings.Join(ops, ","))
}

// startPeers runs three nodes of one cluster.
func startPeers(t *testing.T, redis string) []node {
	t.Helper()
	var nodes []node
	for i := range 3 {
		nodes = append(nodes, launchNodeWith(t, fmt.Sprintf("node %d", i), redis, "eio3: true", ""))
	}
	for _, n := range nodes {
		n.Await(func() bool { return program.Answers200("http://" + n.ops + "/readyz") })
	}
	return nodes
}

// startRoundRobin runs HAProxy that sends each request to the next ready node.
func startRoundRobin(t *testing.T, nodes []node) string {
	t.Helper()
	var servers strings.Builder
	for i, n := range nodes {
		_, port, err := net.SplitHostPort(n.ops)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&servers, "  server node%d %s check port %s inter 200ms fall 1 rise 1\n", i, n.address, port)
	}
	return startProxyOf(t, `
  balance roundrobin
  timeout check 10s
  option httpchk GET /readyz
`+servers.String())
}
