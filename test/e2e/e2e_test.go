package e2e

import (
	"bufio"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func TestFanout_SixClientsOnTwoNodesAndThreeTransports(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	a, b := startNode(t, "node a", redis), startNode(t, "node b", redis)
	runJS(t, "fanout", "PROXY="+startProxy(t, a, b), fmt.Sprintf("OPS=http://%s,http://%s", a.ops, b.ops))
}

func TestEmitter_ReachesGatewaysAsItReachesNode(t *testing.T) {
	t.Parallel()
	t.Run("gateways", func(t *testing.T) {
		t.Parallel()
		redis := startRedis(t)
		a, b := startNode(t, "node a", redis), startNode(t, "node b", redis)
		runJS(t, "emitter", "REDIS="+redis, fmt.Sprintf("NODES=http://%s,http://%s", a.address, b.address))
	})
	t.Run("reference", func(t *testing.T) {
		t.Parallel()
		redis := startRedis(t)
		a, b := startReference(t, redis), startReference(t, redis)
		runJS(t, "emitter", "REDIS="+redis, "NODES="+a+","+b)
	})
}

func TestMixedCluster_GatewayAndNodeHearEachOther(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	gateway, reference := startNode(t, "gateway", redis), startReference(t, redis)
	runJS(t, "mixed", "NODES=http://"+gateway.address+","+reference)
}

func TestRefusals_GetTheOfficialAnswers(t *testing.T) {
	t.Parallel()
	n := startNode(t, "node", startRedis(t))
	runJS(t, "refusals", "NODES=http://"+n.address)
}

func TestKill_OneNodeLeavesTheOtherServing(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	a, b := startNode(t, "node a", redis), startNode(t, "node b", redis)
	runJS(t, "survivor", "PROXY="+startProxy(t, a, b), fmt.Sprintf("PIDS=%d,%d", a.Cmd.Process.Pid, b.Cmd.Process.Pid))
}

func TestDemo_InChromiumWithThePrintedCommand(t *testing.T) {
	t.Parallel()
	for name, flags := range map[string][]string{"names claimed": nil, "names proven": {"--token"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dev := start(t, "gateway dev", gatewayBinary, append([]string{"dev"}, flags...)...)
			dev.Await(func() bool { return demoPattern.MatchString(dev.Text()) && publishPattern.MatchString(dev.Text()) })
			demo := demoPattern.FindString(dev.Text())
			publish := publishPattern.FindStringSubmatch(dev.Text())[1]
			runJS(t, "demo", "DEMO="+demo, "PUBLISH="+publish)
		})
	}
}

var (
	demoPattern    = regexp.MustCompile(`http://localhost:\d+/`)
	publishPattern = regexp.MustCompile(`(?m)^\s*(\S.* emit .*--redis .*)$`)
)

// startReference runs Node's own server with its Redis adapter and returns its URL. env are more variables of node-server.mjs.
func startReference(t *testing.T, redis string, env ...string) string {
	t.Helper()
	p := start(t, "reference", "env", append(env, "REDIS="+redis, "node", "js/node-server.mjs")...)
	p.Await(func() bool { return strings.Contains(p.Text(), "listening on ") })
	lines := bufio.NewScanner(strings.NewReader(p.Text()))
	for lines.Scan() {
		if port, found := strings.CutPrefix(lines.Text(), "listening on "); found {
			return "http://127.0.0.1:" + port
		}
	}
	t.Fatal("the reference did not say where it listens")
	return ""
}
