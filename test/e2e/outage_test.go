package e2e

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/test/program"
)

// TestOutage_NobodyNoticesButThoseElsewhere: Redis freezes, loses connections, and dies and comes back empty.
func TestOutage_NobodyNoticesButThoseElsewhere(t *testing.T) {
	t.Parallel()
	address := program.FreeAddress(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	// The scenario starts Redis itself, since it kills it as well.
	url := "redis://" + address
	a, b := startNodeWithout(t, "node a", url), startNodeWithout(t, "node b", url)
	runJS(t, "outage", "REDIS="+url, "REDIS_PORT="+port, "REDIS_DIR="+t.TempDir(),
		fmt.Sprintf("NODES=http://%s,http://%s", a.address, b.address), fmt.Sprintf("OPS=http://%s,http://%s", a.ops, b.ops))
	for _, n := range []node{a, b} {
		if strings.Contains(n.Text(), `"level":"error"`) {
			t.Errorf("%s logged an error", n.Name)
		}
	}
}

// startNodeWithout is startNode while there is no Redis yet.
func startNodeWithout(t *testing.T, name, redis string) node {
	t.Helper()
	n := launchNode(t, name, redis)
	n.Await(func() bool { return program.Answers200("http://" + n.ops + "/livez") })
	return n
}
