//go:build jitter

package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/carillon-io/carillon/test/program"
)

var jitterRuns = flag.Int("jitter", 1, "runs of TestJitter_WhileThreeNodesAreRolled with each kind of cut, each of 30 s and more")

// TestJitter_WhileThreeNodesAreRolled: 200 clients behind plain round robin lose their connections again and again, while all
// nodes are rolled one after the other. make jitter runs it.
func TestJitter_WhileThreeNodesAreRolled(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "gateway") // without the race detector
	if err := program.BuildGateway(binary); err != nil {
		t.Fatal(err)
	}
	for run := range *jitterRuns {
		for _, cut := range []string{"closed", "half-open"} {
			t.Run(fmt.Sprintf("%s %d", cut, run+1), func(t *testing.T) { jitter(t, binary, cut == "half-open") })
		}
	}
}

func jitter(t *testing.T, binary string, halfOpen bool) {
	redis := startRedis(t)
	nodes := make([]node, 4)
	configs := make([]string, len(nodes))
	serve := func(i int) {
		nodes[i].Program = start(t, fmt.Sprintf("node %d", i), binary, "serve", "--config", configs[i])
		nodes[i].Await(func() bool { return program.Answers200("http://" + nodes[i].ops + "/readyz") })
	}
	for i := range nodes {
		nodes[i] = node{address: program.FreeAddress(t), ops: program.FreeAddress(t)}
		configs[i] = program.WriteFile(t, "gateway.yaml", fmt.Sprintf(`
server: {address: %q}
ops: {address: %q}
peer: {address: %q}
engine: {ping_interval: 5s, ping_timeout: 4s}
redis: {url: %q}
drain: {delay: 1s, window: 4s}
socketio: {recovery: {enabled: true}}
log: {level: info, format: json}
namespaces: {"/": {rules: [{event: publishAll, do: [{broadcast: {event: msg, args: ["${args[0]}"]}}]}]}}
`, nodes[i].address, nodes[i].ops, program.FreeAddress(t), redis))
		serve(i)
	}
	// The publisher, and one client, are at a node that is not rolled: what a client sends while its node leaves may be lost.
	rolled := nodes[1:]
	front := startRoundRobin(t, rolled)
	args := []string{
		"bench", "jitter", "--url", "http://" + nodes[0].address, "--clients", "200", "--duration", "30s", "--every", "500ms", "--cut-every", "6s",
		"--cut-for", "1s", "--output", "json", "--quiet", "--handshake-timeout", "1m",
	}
	for range 199 { // clients are dealt out to the addresses in turn
		args = append(args, "--url", front)
	}
	if halfOpen {
		args = append(args, "--half-open")
	}
	bench := exec.CommandContext(t.Context(), binary, args...)
	said := new(strings.Builder)
	bench.Stdout, bench.Stderr = said, said
	if err := bench.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- bench.Wait() }()
	time.Sleep(3 * time.Second) // a pace, which nothing relies on
	for i := range rolled {
		rolled[i].Stop(syscall.SIGTERM)
		serve(1 + i)
	}
	select {
	case err := <-ended:
		t.Fatalf("the clients were done before the nodes were rolled: %v\n%s", err, said)
	default:
	}
	if err := <-ended; err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	var r struct {
		Delivered  float64 `json:"delivered_percent"`
		Twice      int     `json:"twice"`
		OutOfOrder int     `json:"out_of_order"`
		Reconnects int     `json:"reconnects"`
		Recovered  int     `json:"recovered"`
	}
	if err := json.Unmarshal([]byte(said.String()), &r); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	t.Logf("%+v", r)
	if r.Delivered != 100 || r.Twice != 0 || r.OutOfOrder != 0 || r.Recovered != r.Reconnects || r.Reconnects == 0 {
		t.Errorf("not everything once and in order to clients that all were recovered:\n%s", said)
	}
}
