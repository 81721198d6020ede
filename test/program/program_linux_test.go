package program_test

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/test/program"
)

func TestFreeAddress_AServerListensThereAgainAndAgain(t *testing.T) {
	address := program.FreeAddress(t)
	if program.Accepts(address) {
		t.Fatal("something listens already")
	}
	for range 3 {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if !program.Accepts(address) {
			t.Error("a server that listens there is not reached")
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// child makes the test binary a process that starts a program, says which one, and waits to be killed.
const child = "PROGRAM_TEST_CHILD"

func TestStart_AProgramDoesNotOutliveTheTestsProcess(t *testing.T) {
	if os.Getenv(child) != "" {
		p := program.Start(t, "sleep", nil, "sleep", "600")
		_, _ = os.Stdout.WriteString(strconv.Itoa(p.Cmd.Process.Pid) + "\n")
		<-p.Done
	}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tests := exec.Command(binary, "-test.run", "^"+t.Name()+"$")
	tests.Env = append(os.Environ(), child+"=yes")
	output, err := tests.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tests.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 20)
	n, err := output.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(string(line[:n-1]))
	if err != nil {
		t.Fatal(err)
	}
	_ = tests.Process.Kill()
	_ = tests.Wait()
	for limit := time.After(time.Minute); alive(pid); {
		select {
		case <-limit:
			t.Fatalf("process %d is still there", pid)
		case <-time.After(time.Millisecond):
		}
	}
}

// alive reports whether a process exists and is more than an entry for its parent to collect.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
