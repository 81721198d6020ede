package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/carillon-io/carillon/test/program"
)

// maxIdleKB is what one idle WebSocket connection with its namespace joined may cost over the empty process.
const maxIdleKB = 6

func TestFootprint_TenThousandIdleConnections(t *testing.T) {
	dir := t.TempDir()
	// Without the race detector, whose shadow memory is not what is measured.
	gateway := filepath.Join(dir, "gateway")
	if err := program.BuildGateway(gateway); err != nil {
		t.Fatal(err)
	}
	address, ops := program.FreeAddress(t), program.FreeAddress(t)
	config := program.WriteFile(t, "gateway.yaml", "server: {address: '"+address+"'}\nops: {address: '"+ops+"'}\ndrain: {delay: 0s, window: 0s}\n")
	n := start(t, "gateway", gateway, "serve", "--config", config)
	n.Await(func() bool { return program.Answers200("http://" + ops + "/readyz") })

	out, err := exec.Command(gateway, "bench", "connect", "--clients", "10000", "--hold", "6s", "--url", "http://"+address, "--output", "json", "--quiet",
		"--pid", strconv.Itoa(n.Cmd.Process.Pid)).Output()
	if err != nil {
		t.Fatalf("gateway bench: %v\n%s", err, out)
	}
	var answer struct {
		Connected int     `json:"connected"`
		PerConn   float64 `json:"rss_per_conn_kb"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatalf("gateway bench said %s: %v", out, err)
	}
	t.Logf("%.2f kB for each of %d connections", answer.PerConn, answer.Connected)
	if answer.Connected != 10_000 || answer.PerConn <= 0 || answer.PerConn > maxIdleKB {
		t.Errorf("%d connections cost %.2f kB each, want 10,000 at no more than %d kB", answer.Connected, answer.PerConn, maxIdleKB)
	}
}
