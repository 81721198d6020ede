package e2e

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/carillon-io/carillon/test/program"
)

// buildExample builds one of the programs in examples/.
func buildExample(t *testing.T, name string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), name)
	build := exec.Command("go", "build", "-race", "-o", binary, "./examples/"+name)
	build.Dir = filepath.Join("..", "..")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, output)
	}
	return binary
}

// TestExamples_Chat has the official client log in, talk and leave.
func TestExamples_Chat(t *testing.T) {
	t.Parallel()
	address := program.FreeAddress(t)
	chat := start(t, "chat", buildExample(t, "chat"), "-listen", address)
	chat.Await(func() bool { return program.Answers200("http://" + address + "/") })
	runJS(t, "example-chat", "NODES=http://"+address)
	chat.Stop(syscall.SIGTERM)
}

// TestExamples_Cluster has official clients on two processes.
func TestExamples_Cluster(t *testing.T) {
	t.Parallel()
	redis, binary := startRedis(t), buildExample(t, "cluster")
	first, second := program.FreeAddress(t), program.FreeAddress(t)
	for _, address := range []string{first, second} {
		p := start(t, address, binary, "-listen", address, "-redis", redis)
		p.Await(func() bool { return program.Accepts(address) })
		defer p.Stop(syscall.SIGTERM)
	}
	runJS(t, "example-cluster", "NODES=http://"+first+",http://"+second)
}

// TestExamples_Doors has pages with and without the official client in one room, in Chromium.
func TestExamples_Doors(t *testing.T) {
	t.Parallel()
	address := program.FreeAddress(t)
	doors := start(t, "doors", buildExample(t, "doors"), "-listen", address, "-client", "../node_modules/socket.io-client/dist")
	doors.Await(func() bool { return program.Answers200("http://" + address + "/") })
	runJS(t, "example-doors", "NODES=http://"+address)
	doors.Stop(syscall.SIGTERM)
}
