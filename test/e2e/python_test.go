package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/test/program"
)

// Clients of two gateways and of a python-socketio server share rooms, acknowledgements and commands; a manager that only writes
// reaches all of them.
func TestPython_ServersManagersAndGatewaysAreOneCluster(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	var nodes []string
	for _, name := range []string{"node a", "node b"} {
		n := node{address: program.FreeAddress(t), ops: program.FreeAddress(t)}
		config := fmt.Sprintf("server: {address: %q}\nops: {address: %q}\npeer: {address: %q}\nredis: {url: %q}\n", n.address, n.ops, program.FreeAddress(t), redis) +
			"adapter: {python: socketio}\ndrain: {delay: 0s, window: 100ms}\n" + pythonRules
		n.Program = start(t, name, gatewayBinary, "serve", "--config", program.WriteFile(t, "gateway.yaml", config))
		n.Await(func() bool {
			return program.Answers200("http://"+n.ops+"/readyz") && strings.Contains(n.Text(), "joined Python's channel")
		})
		nodes = append(nodes, "http://"+n.address, "http://"+n.ops)
	}
	address := program.FreeAddress(t)
	_, port, _ := strings.Cut(address, ":")
	server := start(t, "python-socketio", python, "python/bus_server.py", redis, port)
	server.Await(func() bool { return program.Accepts(address) })
	run := start(t, "clients", python, "python/bus.py", redis, "http://"+address, nodes[0], nodes[2], nodes[1])
	run.Await(func() bool { return strings.Contains(run.Text(), "all passed") })
}

const pythonRules = `namespaces:
  "/":
    rules:
      - {event: join, do: [{join: "${args[0]}"}]}
      - {event: say, do: [{emit: {to: "${args[0]}", event: said, args: ["${args[1]}"]}}]}
      - {event: shout, do: [{broadcast: {event: said, args: "${args}", exclude_sender: true}}]}
`
