package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startTimeout bounds how long a process may take until it answers; generous, for a busy machine with the race detector.
const startTimeout = 60 * time.Second

// gatewayBinary is built once, with the race detector, by TestMain.
var gatewayBinary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "carillon-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	gatewayBinary = filepath.Join(dir, "gateway")
	build := exec.Command("go", "build", "-race", "-o", gatewayBinary, "github.com/carillon-io/carillon/cmd/gateway")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the gateway:", err)
		return 1
	}
	return m.Run()
}

// process is a program that a test started. Its output is shown when the test fails.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	mu     sync.Mutex
	output bytes.Buffer
	ended  error
}

// start runs a program until the test ends, when it gets SIGTERM and must leave.
func start(t *testing.T, name, path string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	// Nothing of the developer's own configuration may reach a node under test.
	p.cmd.Env = append(os.Environ(), "GORACE=halt_on_error=1")
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		err := p.cmd.Wait()
		p.mu.Lock()
		p.ended = err
		p.mu.Unlock()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop(syscall.SIGTERM)
		if text := p.text(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic: ") {
			t.Errorf("%s reported a race or a panic", name)
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", name, tail(p.text(), 8000))
		}
	})
	return p
}

// Write collects the program's output.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.Write(b)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// stop signals the process and waits until it has left; one that does not within 30 s is killed, and the test fails.
func (p *process) stop(signal syscall.Signal) {
	_ = p.cmd.Process.Signal(signal) // an error says that it has left already
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		p.t.Errorf("%s did not leave on %v", p.name, signal)
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// await polls until ready says so, the process ends, or startTimeout is over.
func (p *process) await(ready func() bool) {
	p.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(startTimeout)
	for !ready() {
		select {
		case <-tick.C:
		case <-p.done:
			p.t.Fatalf("%s ended early: %v\n%s", p.name, p.ended, tail(p.text(), 4000))
		case <-limit:
			p.t.Fatalf("%s is not ready after %v\n%s", p.name, startTimeout, tail(p.text(), 4000))
		}
	}
}

// accepts reports whether something listens at a loopback address.
func accepts(address string) bool {
	c, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// answers200 reports whether a GET is answered with 200.
func answers200(url string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// freeAddress is a loopback address that nothing listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// write puts a file into the test's own directory.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func tail(text string, n int) string {
	if len(text) > n {
		return "…" + text[len(text)-n:]
	}
	return text
}
