package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/test/program"
)

// TestFootprint_IdlePlainWebSockets: a client without a library costs no more than one of Socket.IO.
func TestFootprint_IdlePlainWebSockets(t *testing.T) {
	const clients = 5000
	dir := t.TempDir()
	// Without the race detector, whose shadow memory is not what is measured.
	gateway := filepath.Join(dir, "gateway")
	if err := program.BuildGateway(gateway); err != nil {
		t.Fatal(err)
	}
	address, ops := program.FreeAddress(t), program.FreeAddress(t)
	config := program.WriteFile(t, "gateway.yaml", "server: {address: '"+address+"'}\nops: {address: '"+ops+"'}\nnative: {path: /ws}\ndrain: {delay: 0s, window: 0s}\n")
	n := start(t, "gateway", gateway, "serve", "--config", config)
	n.Await(func() bool { return program.Answers200("http://" + ops + "/readyz") })
	empty := rssKB(t, n.Cmd.Process.Pid)

	for i := range clients {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatalf("client %d: %v", i, err)
		}
		defer func() { _ = c.Close() }()
		_, err = fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: carillon.v1.json\r\n\r\n", address)
		if err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReaderSize(c, 512)
		response, err := http.ReadResponse(in, nil)
		if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("client %d: %v %v", i, response, err)
		}
		if _, err := in.Peek(2); err != nil { // the hello: the namespace is joined
			t.Fatal(err)
		}
	}
	best := 1e9
	deadline := time.Now().Add(time.Minute) // until garbage of the handshakes is collected
	for time.Now().Before(deadline) && best > maxIdleKB {
		best = min(best, float64(rssKB(t, n.Cmd.Process.Pid)-empty)/clients)
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("%.2f kB for each of %d connections", best, clients)
	if best > maxIdleKB {
		t.Errorf("a connection costs %.2f kB, want no more than %d", best, maxIdleKB)
	}
}

// rssKB is the memory of a process.
func rssKB(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kB, err := strconv.Atoi(strings.Fields(text)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kB
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
