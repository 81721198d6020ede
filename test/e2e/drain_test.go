package e2e

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// leaveLimit is how long a node may take to leave beyond drain.delay and drain.window. Nodes promise 5 s; the rest is for machines
// that are busy with other work. Clients that kept their node would keep it for two minutes, see draining.
const leaveLimit = 25 * time.Second

// draining lets the nodes of a test drain as slowly as they do in production, and nothing else end a stuck client.
func draining(delay, window time.Duration) (env []string) {
	return []string{
		"CARILLON_DRAIN_DELAY=" + delay.String(), "CARILLON_DRAIN_WINDOW=" + window.String(),
		"CARILLON_ENGINE_PING_INTERVAL=2m", "CARILLON_ENGINE_OUTBOX=64MiB",
	}
}

func TestDrain_EveryClientIsBackOnTheOtherNode(t *testing.T) {
	t.Parallel()
	const delay, window = time.Second, 6 * time.Second
	env, redis := draining(delay, window), startRedis(t)
	a, b := startNode(t, "node a", redis, env...), startNode(t, "node b", redis, env...)
	runJS(t, "drain", "PROXY="+startReadyProxy(t, a, b), fmt.Sprintf("PID=%d", a.Cmd.Process.Pid),
		fmt.Sprintf("DELAY=%d", delay.Milliseconds()), fmt.Sprintf("WINDOW=%d", window.Milliseconds()),
		fmt.Sprintf("LIMIT=%d", (delay+window+leaveLimit).Milliseconds()))
	a.leftWith(t, 0)
}

func TestDrain_StuckClientsDoNotKeepTheNode(t *testing.T) {
	t.Parallel()
	const delay, window = 500 * time.Millisecond, 2 * time.Second
	n := startNode(t, "node", startRedis(t), draining(delay, window)...)
	runJS(t, "stuck", "NODES=http://"+n.address, "OPS=http://"+n.ops, fmt.Sprintf("PID=%d", n.Cmd.Process.Pid), "SIGNALS=1",
		fmt.Sprintf("LIMIT=%d", (delay+window+leaveLimit).Milliseconds()))
	n.leftWith(t, 0)
}

func TestDrain_ASecondSignalLeavesAtOnce(t *testing.T) {
	t.Parallel()
	n := startNode(t, "node", startRedis(t), draining(10*time.Minute, 10*time.Minute)...)
	runJS(t, "stuck", "NODES=http://"+n.address, "OPS=http://"+n.ops, fmt.Sprintf("PID=%d", n.Cmd.Process.Pid), "SIGNALS=2",
		fmt.Sprintf("LIMIT=%d", leaveLimit.Milliseconds()))
	n.leftWith(t, 1)
}

func TestDrain_DoesNotWaitForAFrozenRedis(t *testing.T) {
	t.Parallel()
	const window = time.Second
	redis := startRedis(t)
	n := startNode(t, "node", redis, draining(0, window)...)
	options, err := goredis.ParseURL(redis)
	if err != nil {
		t.Fatal(err)
	}
	client := goredis.NewClient(options)
	defer client.Close()
	if err := client.Do(t.Context(), "CLIENT", "PAUSE", time.Minute.Milliseconds(), "ALL").Err(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	n.Stop(syscall.SIGTERM)
	if took := time.Since(began); took >= window+leaveLimit {
		t.Errorf("left after %v", took)
	}
	n.leftWith(t, 0)
}

// leftWith checks the exit code of a node that has ended.
func (n node) leftWith(t *testing.T, code int) {
	t.Helper()
	select {
	case <-n.Done:
		if got := n.Cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("%s: exit code %d, want %d", n.Name, got, code)
		}
	default:
		t.Errorf("%s has not left", n.Name)
	}
}

// startReadyProxy runs HAProxy in front of the nodes as it has to be for a drain that nobody notices, and returns its address.
//
// /readyz decides where handshakes go: they lose the cookie, which may name the node that drains. A polling session stays with
// its node until that closes it: requests with a sid follow the cookie to a node that is down, too (persist).
func startReadyProxy(t *testing.T, nodes ...node) string {
	t.Helper()
	var servers strings.Builder
	for i, n := range nodes {
		_, port, err := net.SplitHostPort(n.ops)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&servers, "  server node%d %s cookie node%d check port %s inter 200ms fall 1 rise 1\n", i, n.address, i, port)
	}
	return startProxyWith(t, `
  timeout check 10s
  option httpchk GET /readyz
  option persist
  http-request replace-header Cookie (.*)carillon=[^;]*(.*) \1\2 unless { url_param(sid) -m found }
`+servers.String())
}
