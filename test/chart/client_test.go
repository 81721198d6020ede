package chart

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/gateway"
)

// What the pod of helm test runs: Node.js alone, with the client that the gateway serves.
func TestClient_ConnectsWithTheClientOfTheGateway(t *testing.T) {
	cfg, _, err := config.Load(config.Source{Environ: []string{
		"CARILLON_SERVER_CLIENT_BUNDLE=" + root + "/test/node_modules/socket.io-client/dist",
		"CARILLON_DRAIN_DELAY=0s", "CARILLON_DRAIN_WINDOW=0s",
	}})
	if err != nil {
		t.Fatal(err)
	}
	clients, ops := listen(t), listen(t)
	g, err := gateway.New(gateway.Options{Config: cfg, Clients: clients, Ops: ops})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- g.Run(ctx) }()
	defer func() {
		stop()
		if err := <-left; err != nil {
			t.Error(err)
		}
	}()

	pod := render(t).must(t, "Pod", release+"-test")
	container := asObject(pod.at("spec", "containers", 0))
	command, _ := container.at("command").([]any)
	var args []string
	for _, arg := range command {
		args = append(args, strings.Replace(fmt.Sprint(arg), "http://carillon:80", "http://"+clients.Addr().String(), 1))
	}
	deadline, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := exec.CommandContext(deadline, args[0], args[1:]...)
	client.Dir = t.TempDir() // where no socket.io-client is installed
	for _, name := range []string{"NAMESPACE", "AUTH", "SOCKETIO_PATH", "TOKEN"} {
		client.Env = append(client.Environ(), fmt.Sprintf("%s=%v", name, container.env(name)["value"]))
	}
	out, err := client.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "connected to http://"+clients.Addr().String()+"/ as ") {
		t.Errorf("%v\n%s", err, out)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}
