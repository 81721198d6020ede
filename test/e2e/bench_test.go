package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/test/program"
)

// bench runs `gateway bench` and returns what it measured.
func bench(t *testing.T, args ...string) map[string]any {
	t.Helper()
	out, err := exec.Command(gatewayBinary, append([]string{"bench"}, append(args, "--output", "json", "--quiet", "--handshake-timeout", "1m")...)...).Output()
	if err != nil {
		t.Fatalf("gateway bench %v: %v\n%s", args, err, out)
	}
	var measured map[string]any
	if err := json.Unmarshal(out, &measured); err != nil {
		t.Fatalf("gateway bench %v printed %s: %v", args, out, err)
	}
	return measured
}

// TestBench_AgainstTheServersOfItsPage runs both servers of docs/bench.md, with free ports instead of theirs.
func TestBench_AgainstTheServersOfItsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/bench.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(language string) string {
		found := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(page)
		if found == nil {
			t.Fatalf("docs/bench.md has no block of %s", language)
		}
		return string(found[1])
	}
	forNode, forGateway := program.FreeAddress(t), program.FreeAddress(t)
	_, port, _ := strings.Cut(forNode, ":")
	// Beside the packages of the tests.
	script := filepath.Join("js", "bench-server-"+strconv.Itoa(os.Getpid())+".mjs")
	text := strings.Replace(block("js"), "new Server(3000)", "new Server("+port+")", 1)
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(script) })
	rules := program.WriteFile(t, "rules.yaml", strings.Replace(block("yaml"), "127.0.0.1:3001", forGateway, 1)+"ops: {address: '"+program.FreeAddress(t)+"'}\n")
	servers := map[string]*program.Program{
		forNode:    start(t, "node", "node", script),
		forGateway: start(t, "gateway", gatewayBinary, "serve", "--config", rules),
	}
	for address, server := range servers {
		server.Await(func() bool { return program.Accepts(address) })
		to := []string{"--url", "http://" + address, "--clients", "30", "--pid", strconv.Itoa(server.Cmd.Process.Pid)}
		if r := bench(t, append([]string{"connect", "--hold", "100ms"}, to...)...); r["connected"] != 30.0 || r["rss_before_mb"].(float64) <= 0 {
			t.Errorf("%s: connect: %v", server.Cmd.Path, r)
		}
		if r := bench(t, append([]string{"echo", "--duration", "500ms"}, to...)...); r["req_s"].(float64) <= 0 || r["bad_replies"] != 0.0 {
			t.Errorf("%s: echo: %v", server.Cmd.Path, r)
		}
		for _, scenario := range []string{"fanout", "polling"} {
			if r := bench(t, append([]string{scenario, "--rate", "20", "--duration", "500ms", "--drain", "1m"}, to...)...); r["lost"] != 0.0 || r["deliveries_s"].(float64) <= 0 {
				t.Errorf("%s: %s: %v", server.Cmd.Path, scenario, r)
			}
		}
		if r := bench(t, append([]string{"storm", "--duration", "1m"}, to...)...); r["losses"] != 30.0 || r["not_back"] != 0.0 {
			t.Errorf("%s: storm: %v", server.Cmd.Path, r)
		}
	}
}
