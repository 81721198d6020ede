package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/test/program"
	"github.com/carillon-io/carillon/test/redistest"
)

// startRedis runs a redis-server without persistence and returns its URL.
func startRedis(t *testing.T) string {
	t.Helper()
	return redistest.Start(t).URL()
}

// node is one running gateway.
type node struct {
	*program.Program
	address string // where clients connect
	ops     string
	env     []string // its own variables, which its successors get, too
}

// startNode runs a gateway and waits until it is ready. env overrides the configuration, as KEY=value.
func startNode(t *testing.T, name, redis string, env ...string) node {
	t.Helper()
	n := launchNode(t, name, redis, env...)
	n.Await(func() bool { return program.Answers200("http://" + n.ops + "/readyz") })
	return n
}

// launchNode is startNode without the wait.
func launchNode(t *testing.T, name, redis string, env ...string) node {
	t.Helper()
	return launchNodeWith(t, name, redis, "ping_interval: 2s, ping_timeout: 10s", "", env...)
}

// launchNodeWith runs `gateway serve` on a Redis with these settings of its engine, and with the rules of policy.yaml and
// those of more namespaces.
func launchNodeWith(t *testing.T, name, redis, engine, namespaces string, env ...string) node {
	t.Helper()
	policy, err := os.ReadFile("policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	n := node{address: program.FreeAddress(t), ops: program.FreeAddress(t), env: env}
	config := fmt.Sprintf(`
server: {address: %q}
ops: {address: %q}
peer: {address: %q}
engine: {%s}
redis: {url: %q}
drain: {delay: 0s, window: 1s}
log: {level: info, format: json}
%s%s`, n.address, n.ops, program.FreeAddress(t), engine, redis, policy, namespaces)
	n.Program = startWith(t, name, env, gatewayBinary, "serve", "--config", program.WriteFile(t, "gateway.yaml", config))
	return n
}

// startProxy runs HAProxy in front of the nodes and returns its address.
func startProxy(t *testing.T, nodes ...node) string {
	t.Helper()
	var servers strings.Builder
	for i, n := range nodes {
		fmt.Fprintf(&servers, "  server node%d %s cookie node%d check inter 200ms\n", i, n.address, i)
	}
	return startProxyWith(t, `
  retries 3
  option redispatch
`+servers.String())
}

// startProxyWith runs HAProxy with cookie stickiness, with these options and servers of its backend, and returns its address.
func startProxyWith(t *testing.T, backend string) string {
	t.Helper()
	return startHAProxy(t, `
backend carillon
  balance roundrobin
  cookie carillon insert indirect nocache
`+backend)
}

// startHAProxy runs HAProxy with a backend named carillon and returns its address.
func startHAProxy(t *testing.T, backend string) string {
	t.Helper()
	address := program.FreeAddress(t)
	config := fmt.Sprintf(`
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
  timeout check 10s
frontend clients
  bind %s
  default_backend carillon
%s`, address, backend)
	p := start(t, "haproxy", "haproxy", "-db", "-f", program.WriteFile(t, "haproxy.cfg", config))
	p.Await(func() bool { return program.Accepts(address) })
	return "http://" + address
}

// runJS runs one scenario with Node's test runner; env is what it needs to know, as KEY=value.
func runJS(t *testing.T, scenario string, env ...string) {
	t.Helper()
	runJSWithin(t, 5*time.Minute, scenario, env...)
}

// runJSWithin is runJS for a scenario that may take so long.
func runJSWithin(t *testing.T, limit time.Duration, scenario string, env ...string) {
	t.Helper()
	timeout := fmt.Sprintf("--test-timeout=%d", limit.Milliseconds())
	cmd := exec.Command("node", "--test", timeout, "--test-reporter=spec", "js/"+scenario+".test.mjs")
	cmd.Env = append(os.Environ(), env...)
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", scenario, err, output)
		return
	}
	if !strings.Contains(string(output), "ℹ fail 0") || strings.Contains(string(output), "ℹ pass 0\n") || !strings.Contains(string(output), "ℹ skipped 0") {
		t.Errorf("%s did not run all its tests:\n%s", scenario, output)
	}
	t.Logf("%s:\n%s", scenario, output)
}
