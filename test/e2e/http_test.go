package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio/socketiotest"
	"github.com/carillon-io/carillon/test/program"
)

// startAPI runs a gateway with the HTTP API on a Redis, and returns where clients connect and the URL of the API.
func startAPI(t *testing.T, redis string) (clients, api string) {
	t.Helper()
	clients, ops, api := program.FreeAddress(t), program.FreeAddress(t), program.FreeAddress(t)
	file := program.WriteFile(t, "carillon.yaml", fmt.Sprintf(`
server: {address: %q}
ops: {address: %q}
peer: {address: "127.0.0.1:0"}
redis: {url: %q}
drain: {delay: 0s, window: 0s}
api: {address: %q, keys: [key-of-the-test]}
`, clients, ops, redis, api))
	gateway := start(t, "gateway", gatewayBinary, "serve", "--config", file)
	gateway.Await(func() bool { return program.Answers200("http://" + ops + "/readyz") })
	t.Cleanup(func() { gateway.Stop(syscall.SIGTERM) })
	return "http://" + clients, "http://" + api
}

// TestHTTP_AClientGeneratedFromTheContract has a generator make a client in Python of what the gateway serves, after a
// validator of OpenAPI found nothing wrong with it; the client talks to the gateway.
func TestHTTP_AClientGeneratedFromTheContract(t *testing.T) {
	t.Parallel()
	redis := startRedis(t)
	clients, api := startAPI(t, redis)
	_, other := startAPI(t, redis)
	answer, err := http.Get(api + "/v1/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	document, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "openapi.json")
	if err := os.WriteFile(file, document, 0o600); err != nil {
		t.Fatal(err)
	}
	bin, err := filepath.Abs("../.venv/bin")
	if err != nil {
		t.Fatal(err)
	}
	c := socketiotest.Dial(t, clients, socketiotest.Options{Patience: time.Minute}) // the generator comes first
	script, err := filepath.Abs("python/http_client.py")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		ended <- runAll(dir, []string{"PYTHONPATH=" + dir, "PATH=" + bin + ":" + os.Getenv("PATH")},
			[]string{bin + "/openapi-spec-validator", "--schema", "3.1", file},
			[]string{bin + "/openapi-python-client", "generate", "--path", file, "--output-path", "carillon_client", "--meta", "none", "--fail-on-warning"},
			[]string{bin + "/python", script, api, other, c.ID()},
		)
		c.Close()
	}()
	c.Expect("news", map[string]any{"text": "hello"}, []byte{0, 1})
	c.Expect("question").Ack(map[string]bool{"ok": true}) // nothing was published twice
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// runAll runs commands one after the other, until one fails.
func runAll(dir string, env []string, commands ...[]string) error {
	for _, command := range commands {
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
		if output, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", command, err, output)
		}
	}
	return nil
}

// TestHTTP_EmitOfTheCommandLine publishes with gateway emit --http.
func TestHTTP_EmitOfTheCommandLine(t *testing.T) {
	t.Parallel()
	clients, api := startAPI(t, startRedis(t))
	c := socketiotest.Dial(t, clients, socketiotest.Options{})
	emit := exec.Command(gatewayBinary, "emit", "--http", api, "--api-key", "key-of-the-test", "--room", c.ID(), "news", `{"a":1}`, "text")
	if output, err := emit.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	c.Expect("news", map[string]any{"a": 1}, "text")
}
