package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/carillon-io/carillon/test/program"
)

// python is the interpreter of the environment that make deps has filled.
const python = "../.venv/bin/python"

// Official clients come back by themselves after a gateway has drained and another one serves at its address.
func TestReconnect_ClientsComeBackAfterARestart(t *testing.T) {
	n := node{address: program.FreeAddress(t), ops: program.FreeAddress(t)}
	config := program.WriteFile(t, "gateway.yaml", fmt.Sprintf("server: {address: %q}\nops: {address: %q}\n", n.address, n.ops)+
		"drain: {delay: 0s, window: 100ms}\nnamespaces: {\"/\": {rules: [{event: echo, ack: [\"${args[0]}\"]}]}}\n")
	serve := func(name string) *program.Program {
		p := start(t, name, gatewayBinary, "serve", "--config", config)
		p.Await(func() bool { return program.Answers200("http://" + n.ops + "/readyz") })
		return p
	}
	first := serve("first gateway")
	clients := map[string]*program.Program{}
	for _, transport := range []string{"polling", "websocket"} {
		for language, command := range map[string][]string{"python": {python, "python/reconnect.py"}, "node": {"node", "js/reconnect.mjs"}} {
			path, err := exec.LookPath(command[0])
			if err != nil {
				t.Fatal(err)
			}
			name := language + " over " + transport
			clients[name] = start(t, name, path, command[1], "http://"+n.address, transport)
		}
	}
	says := func(what string) {
		t.Helper()
		for name, client := range clients {
			deadline := time.After(patience)
			for !strings.Contains(client.Text(), what) {
				select {
				case <-deadline:
					t.Fatalf("%s does not say %q, but: %s", name, what, client.Text())
				case <-time.After(20 * time.Millisecond):
				}
			}
		}
	}
	says("echo 1\n")
	first.Stop(syscall.SIGTERM)
	says("disconnected: ")
	serve("second gateway")
	says("echo 2\n")
}
