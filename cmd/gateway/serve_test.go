package main

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

// loopback is a node that takes the ports it gets.
const loopback = "server: {address: '127.0.0.1:0'}\nops: {address: '127.0.0.1:0'}\n"

func TestServe_LeavesCleanlyWhenAskedTo(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		p := start(t, nil, "serve", "--config", write(t, loopback+"drain: {delay: 0s, window: 0s}\n"))
		p.says(`"msg":"serving"`)
		p.signal(signal)
		if code := p.wait(); code != exitClean {
			t.Errorf("%v: exit %d; it said:\n%s", signal, code, p.output.String())
		}
	}
}

func TestServe_ASecondSignalLeavesAtOnceWith1(t *testing.T) {
	t.Parallel()
	p := start(t, nil, "serve", "--config", write(t, loopback+"drain: {delay: 10m, window: 10m}\n"))
	p.says(`"msg":"serving"`)
	p.signal(syscall.SIGTERM)
	p.says(`"msg":"leaving"`)
	p.signal(os.Interrupt)
	if code := p.wait(); code != exitFailed {
		t.Errorf("exit %d; it said:\n%s", code, p.output.String())
	}
}

func TestServe_FailingWhileRunningExitsWith1(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p := start(t, []string{"CARILLON_SERVER_ADDRESS=" + taken.Addr().String()}, "serve", "--config", write(t, loopback))
	if code := p.wait(); code != exitFailed || !strings.Contains(p.output.String(), "address already in use") {
		t.Errorf("exit %d; it said:\n%s", code, p.output.String())
	}
}

func TestServe_NeedsNoFile(t *testing.T) {
	t.Parallel()
	p := start(t, []string{
		"CARILLON_SERVER_ADDRESS=127.0.0.1:0", "CARILLON_OPS_ADDRESS=127.0.0.1:0", "CARILLON_DRAIN_DELAY=0s", "CARILLON_NONSENSE=1",
	}, "serve")
	p.says(`"msg":"serving"`)
	p.says("CARILLON_NONSENSE") // one warning
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != exitClean {
		t.Errorf("exit %d; it said:\n%s", code, p.output.String())
	}
}

func TestServe_ReadsTheConfigurationAgainOnSIGHUP(t *testing.T) {
	t.Parallel()
	file := write(t, loopback+"drain: {delay: 0s, window: 0s}\n")
	p := start(t, nil, "serve", "--config", file)
	p.says(`"msg":"serving"`)
	p.signal(syscall.SIGHUP)
	p.says(`"msg":"configuration reloaded"`)
	p.signal(syscall.SIGTERM)
	if code := p.wait(); code != exitClean {
		t.Errorf("exit %d; it said:\n%s", code, p.output.String())
	}
}

func (p *process) signal(signal os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		p.t.Fatal(err)
	}
}
