package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/test/program"
)

// Each configuration of docs/operations.md, with the nodes' addresses in the place of its own.
func TestOperations_TheDocumentedBalancersWork(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	redis := startRedis(t)
	nodes := startPeers(t, redis)
	var written []string // what the page says, then what is so here
	for i, n := range nodes {
		_, port, err := net.SplitHostPort(n.ops)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("gateway-%d:8080", i+1)
		for _, cookie := range []string{"", fmt.Sprintf(" cookie %c", 'a'+i)} {
			written = append(written, name+cookie+" check port 9090", n.address+cookie+" check port "+port)
		}
		written = append(written, name, n.address)
	}
	here := strings.NewReplacer(written...)
	blocks := map[string]int{}
	for _, block := range fences.FindAllStringSubmatch(string(page), -1) {
		language, text := block[1], here.Replace(block[2])
		blocks[language]++
		t.Run(fmt.Sprintf("%s %d", language, blocks[language]), func(t *testing.T) {
			front := ""
			if language == "haproxy" {
				front = startHAProxy(t, text)
			} else {
				front = startNginx(t, text)
			}
			runJS(t, "relay", "PROXY="+front, "CLIENTS=30")
		})
	}
	if blocks["haproxy"] != 2 || blocks["nginx"] != 1 {
		t.Errorf("tried %v", blocks)
	}
}

var fences = regexp.MustCompile("(?s)```(haproxy|nginx)\n(.*?)```")

// startNginx runs nginx with what stands in its http section, on an address of its own, and returns that.
func startNginx(t *testing.T, http string) string {
	t.Helper()
	address, dir := program.FreeAddress(t), t.TempDir()
	// As root nginx would serve as another user, who may not read the test's directory; else it only warns.
	config := "daemon off;\nuser root;\npid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n"
	for _, temp := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		config += temp + "_temp_path " + temp + ";\n"
	}
	config += strings.Replace(http, "listen 8000;", "listen "+address+";", 1) + "}\n"
	if err := os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "nginx", "nginx", "-p", dir, "-c", "nginx.conf", "-e", "stderr")
	p.Await(func() bool { return program.Accepts(address) })
	return "http://" + address
}

func TestRoll_ThreeNodesOneAfterTheOther(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	nodes := startPeers(t, redis, "CARILLON_DRAIN_DELAY=500ms", "CARILLON_DRAIN_WINDOW=4s")
	runJS(t, "roll", append(rolling(nodes), "PROXY="+startRoundRobin(t, nodes), "REDIS="+redis)...)
}

// rolling is what a scenario needs that replaces nodes.
func rolling(nodes []node) (env []string) {
	var pids, configs, ops []string
	for _, n := range nodes {
		pids = append(pids, strconv.Itoa(n.Cmd.Process.Pid))
		configs = append(configs, n.Cmd.Args[len(n.Cmd.Args)-1])
		ops = append(ops, "http://"+n.ops)
	}
	return append([]string{
		"BINARY=" + gatewayBinary, "PIDS=" + strings.Join(pids, ","), "CONFIGS=" + strings.Join(configs, ","), "OPS=" + strings.Join(ops, ","),
	}, nodes[0].env...)
}

func TestRoll_RecoveredOnAnyNode(t *testing.T) {
	t.Parallel()
	env := []string{
		"CARILLON_DRAIN_DELAY=300ms", "CARILLON_DRAIN_WINDOW=2s",
		// The emitter emits to clients that have just connected, which a node receives that listens as Node does.
		"CARILLON_ADAPTER_INTEREST=namespace",
	}
	redis := startRedis(t)
	var nodes []node
	var addresses []string
	for i := range 3 {
		n := launchNodeWith(t, fmt.Sprintf("node %d", i), redis, "ping_interval: 5s, ping_timeout: 4s", "\nsocketio: {recovery: {enabled: true}}\n", env...)
		nodes, addresses = append(nodes, n), append(addresses, "http://"+n.address)
	}
	for _, n := range nodes {
		n.Await(func() bool { return program.Answers200("http://" + n.ops + "/readyz") })
	}
	runJS(t, "moving", append(rolling(nodes), "REDIS="+redis, "NODES="+strings.Join(addresses, ","))...)
}

func TestDrain_WhileClientsUpgrade(t *testing.T) {
	t.Parallel()
	nodes := startPeers(t, startRedis(t), "CARILLON_DRAIN_WINDOW=4s", "CARILLON_ENGINE_PING_INTERVAL=20s", "CARILLON_ENGINE_PING_TIMEOUT=20s")
	runJS(t, "upgrading", "PROXY="+startRoundRobin(t, nodes), fmt.Sprintf("PID=%d", nodes[0].Cmd.Process.Pid))
}

// startPeers runs three nodes of one cluster.
func startPeers(t *testing.T, redis string, env ...string) []node {
	t.Helper()
	var nodes []node
	for i := range 3 {
		nodes = append(nodes, launchNodeWith(t, fmt.Sprintf("node %d", i), redis, "eio3: true", "", env...))
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
	return startHAProxy(t, `
backend carillon
  balance roundrobin
  option httpchk GET /readyz
`+servers.String())
}
