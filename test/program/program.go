package program

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	// startTimeout bounds how long a program may take until it answers; generous, for a busy machine with the race detector.
	startTimeout = 60 * time.Second
	// leaveTimeout bounds how long it may take to leave.
	leaveTimeout = 30 * time.Second
)

// Program is a program that a test started. Its output is shown when the test fails.
type Program struct {
	Name string
	Cmd  *exec.Cmd
	Done <-chan struct{} // closed when it has ended

	t     testing.TB
	said  Output
	ended error // why, once Done is closed
}

// Start runs a program until the test ends, when it gets SIGTERM and must leave. env is added to the environment, as
// KEY=value. A race or a panic that it reports fails the test.
func Start(t testing.TB, name string, env []string, path string, args ...string) *Program {
	t.Helper()
	done := make(chan struct{})
	p := &Program{Name: name, Cmd: exec.Command(path, args...), Done: done, t: t}
	p.Cmd.Stdout, p.Cmd.Stderr = &p.said, &p.said
	p.Cmd.Env = append(os.Environ(), env...)
	p.Cmd.WaitDelay = leaveTimeout // for children of the program that keep its output open
	dieWithParent(p.Cmd)
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // dieWithParent means this thread, so it must live as long as the program
		err := p.Cmd.Start()
		started <- err
		if err == nil {
			p.ended = p.Cmd.Wait()
			close(done)
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	t.Cleanup(func() {
		p.Stop(syscall.SIGTERM)
		if text := p.Text(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic: ") {
			t.Errorf("%s reported a race or a panic", name)
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", name, tail(p.Text(), 8000))
		}
	})
	return p
}

// Text is what the program has said so far.
func (p *Program) Text() string { return p.said.String() }

// Stop signals the program and waits until it has left; one that does not in time is killed, and the test fails.
func (p *Program) Stop(signal syscall.Signal) {
	_ = p.Cmd.Process.Signal(signal) // an error says that it has left already
	select {
	case <-p.Done:
	case <-time.After(leaveTimeout):
		p.t.Errorf("%s did not leave on %v", p.Name, signal)
		p.Kill()
	}
}

// Kill ends the program at once and waits until it has ended.
func (p *Program) Kill() {
	_ = p.Cmd.Process.Kill() // an error says that it has ended already
	<-p.Done
}

// Await polls until ready says so; the test fails when the program ends before that, or takes too long.
func (p *Program) Await(ready func() bool) {
	p.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(startTimeout)
	for !ready() {
		select {
		case <-tick.C:
		case <-p.Done:
			p.t.Fatalf("%s ended early: %v\n%s", p.Name, p.ended, tail(p.Text(), 4000))
		case <-limit:
			p.t.Fatalf("%s is not ready after %v\n%s", p.Name, startTimeout, tail(p.Text(), 4000))
		}
	}
}

// RunWithGateway builds the gateway with these flags of go build, says where it lies, and runs a package's tests: for
// TestMain.
func RunWithGateway(m *testing.M, binary *string, flags ...string) int {
	dir, err := os.MkdirTemp("", "carillon-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	*binary = filepath.Join(dir, "gateway")
	if err := BuildGateway(*binary, flags...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// BuildGateway builds the gateway as a file, with these flags of go build.
func BuildGateway(binary string, flags ...string) error {
	args := append([]string{"build", "-o", binary}, flags...)
	out, err := exec.Command("go", append(args, "github.com/carillon-io/carillon/cmd/gateway")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build the gateway: %w\n%s", err, out)
	}
	return nil
}

func tail(text string, n int) string {
	if len(text) > n {
		return "…" + text[len(text)-n:]
	}
	return text
}
