package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startTimeout bounds how long a peer may take until it accepts connections.
const startTimeout = 30 * time.Second

// bench holds the programs under measurement.
type bench struct {
	dir              string
	gateway, sioload string
	servers, load    []string // the command prefixes that pin to cores; empty on machines with fewer than four
}

func build(ctx context.Context) (*bench, error) {
	dir, err := os.MkdirTemp("", "carillon-bench-")
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir, gateway: filepath.Join(dir, "gateway"), sioload: filepath.Join(dir, "sioload")}
	if n := runtime.NumCPU(); n >= 4 {
		b.servers, b.load = []string{"taskset", "-c", "0,1"}, []string{"taskset", "-c", fmt.Sprintf("2-%d", n-1)}
	}
	for out, pkg := range map[string]string{b.gateway: "./cmd/gateway", b.sioload: "./test/bench/sioload"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-o", out, pkg)
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return nil, errors.Join(fmt.Errorf("build %s: %w", pkg, err), os.RemoveAll(dir))
		}
	}
	return b, nil
}

func (b *bench) remove() { _ = os.RemoveAll(b.dir) }

// measure runs one scenario once against fresh servers and returns sioload's answer.
func (b *bench) measure(ctx context.Context, peer string, s scenario) (map[string]float64, error) {
	ctx, stop := context.WithCancel(ctx)
	var servers []*exec.Cmd
	defer func() {
		stop()
		for _, cmd := range servers {
			_ = cmd.Wait() // it was killed
		}
	}()
	start := func(prefix []string, address string, args ...string) (pid string, err error) {
		cmd, err := startServer(ctx, append(prefix[:len(prefix):len(prefix)], args...), address)
		if err != nil {
			return "", err
		}
		servers = append(servers, cmd)
		return strconv.Itoa(cmd.Process.Pid), nil
	}
	redis, aux, nodes := "", "", 1
	if s.cluster {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		_, port, _ := net.SplitHostPort(address)
		if aux, err = start(b.load, address, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", b.dir); err != nil {
			return nil, err
		}
		redis, nodes = "redis://"+address, 2
	}
	var urls, pids []string
	for range nodes {
		address, err := freeAddress()
		if err != nil {
			return nil, err
		}
		args, err := b.command(peer, address, redis)
		if err != nil {
			return nil, err
		}
		pid, err := start(b.servers, address, args...)
		if err != nil {
			return nil, err
		}
		urls, pids = append(urls, "http://"+address), append(pids, pid)
	}
	args := append(b.load[:len(b.load):len(b.load)], b.sioload)
	args = append(args, s.args...)
	args = append(args, "-url", strings.Join(urls, ","), "-pid", strings.Join(pids, ","))
	if aux != "" {
		args = append(args, "-aux-pid", aux)
	}
	return generate(ctx, args)
}

// command is the command line of a peer that listens at address, in a cluster when redis is given.
func (b *bench) command(peer, address, redis string) ([]string, error) {
	if peer == "node" {
		_, port, err := net.SplitHostPort(address)
		return []string{"node", "test/bench/peer.mjs", port, redis}, err
	}
	ops, err := freeAddress()
	if err != nil {
		return nil, err
	}
	rules, err := os.ReadFile("test/bench/rules.yaml")
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("server: {address: %q}\nops: {address: %q}\nredis: {url: %q}\nlog: {level: error}\n%s", address, ops, redis, rules)
	file, err := os.CreateTemp(b.dir, "gateway-*.yaml")
	if err != nil {
		return nil, err
	}
	if _, err := file.WriteString(text); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return []string{b.gateway, "serve", "--config", file.Name()}, file.Close()
}

func startServer(ctx context.Context, args []string, address string) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			return cmd, c.Close()
		}
	}
	return nil, errors.Join(fmt.Errorf("%s does not listen", args), cmd.Process.Kill(), cmd.Wait())
}

// generate runs sioload and returns the numbers of its answer.
func generate(ctx context.Context, args []string) (map[string]float64, error) {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var out, progress bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &progress
	runErr := cmd.Run()
	var answer map[string]any
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		return nil, fmt.Errorf("sioload: %w: %s", errors.Join(runErr, err), progress.Bytes())
	}
	if runErr != nil || answer["error"] != nil {
		return nil, fmt.Errorf("sioload: %s", out.Bytes())
	}
	fmt.Fprintf(os.Stderr, "%s", out.Bytes())
	numbers := make(map[string]float64)
	for key, value := range answer {
		if n, ok := value.(float64); ok {
			numbers[key] = n
		}
	}
	return numbers, nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
