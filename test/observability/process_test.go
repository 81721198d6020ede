package observability

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The files under test, as a test of this package sees them.
const (
	alertsFile    = "../../helm/carillon/files/alerts.yaml"
	dashboardFile = "../../helm/carillon/files/dashboard.json"
	runbooksFile  = "../../docs/runbooks.md"
)

// patience bounds every wait for a process; generous, for a busy machine.
const patience = 60 * time.Second

// gatewayBinary is built once by TestMain.
var gatewayBinary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "carillon-observability-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	gatewayBinary = filepath.Join(dir, "gateway")
	build := exec.Command("go", "build", "-o", gatewayBinary, "github.com/carillon-io/carillon/cmd/gateway")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the gateway:", err)
		return 1
	}
	return m.Run()
}

// output is what a process said. Safe for concurrent use.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start runs a program until the test ends, when it gets SIGTERM and must leave.
func start(t *testing.T, env []string, path string, args ...string) {
	t.Helper()
	said := &output{}
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", path, err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ends is of no interest here
		close(done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // an error says that it has left already
		select {
		case <-done:
		case <-time.After(patience):
			t.Errorf("%s did not leave", path)
			_ = cmd.Process.Kill()
			<-done
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(path), tail(said.String(), 3000))
		}
	})
}

// eventually polls until done says so; what it returns besides is shown when it never does.
func eventually(t *testing.T, what string, done func() (bool, any)) {
	t.Helper()
	limit := time.After(patience)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, last := done()
		if ok {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: not within %v; last seen: %v", what, patience, last)
		}
	}
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

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func tail(text string, n int) string {
	if len(text) > n {
		return "…" + strings.TrimSpace(text[len(text)-n:])
	}
	return text
}
