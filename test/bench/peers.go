package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/carillon-io/carillon/test/program"
)

// startTimeout bounds how long a server may take until it accepts connections.
const startTimeout = 30 * time.Second

// servers are the processes of one measurement. They are killed when its context ends.
type servers struct {
	commands []*exec.Cmd
	pids     []string
	ops      string // where the last gateway has its metrics
	recovery bool   // clients whose connection breaks come back as the same socket
}

func (s *servers) wait() {
	for _, cmd := range s.commands {
		_ = cmd.Wait() // it was killed
	}
}

// startRedis starts it on the generator's cores: its own cost is counted apart.
func (s *servers) startRedis(ctx context.Context, b *bench) (address string, err error) {
	address, err = program.Reserve()
	if err != nil {
		return "", err
	}
	_, port, _ := net.SplitHostPort(address)
	return address, s.start(ctx, pinned(b.load, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", b.dir), address)
}

// startPeer starts a server, as a node of a cluster when redis is given, and with token as one that checks tokens.
func (s *servers) startPeer(ctx context.Context, b *bench, peer, redis string, token bool) (address string, err error) {
	address, err = program.Reserve()
	if err != nil {
		return "", err
	}
	var args []string
	switch peer {
	case node:
		_, port, _ := net.SplitHostPort(address)
		args = []string{"node", "test/bench/peer.mjs", port, redis}
		if s.recovery {
			args = append(args, "recovery")
		}
	case carillon:
		args, err = s.gateway(b, address, redis, token)
	default:
		args = []string{b.program(peer), address}
	}
	if err != nil {
		return "", err
	}
	return address, s.start(ctx, pinned(b.servers, args...), address)
}

// forwarding follows the rules of a gateway with a Redis.
const forwarding = `
      - {event: forward, do: [{forward: bench}], ack: accepted}
routes: {bench: {partitions: 4}}
`

func (s *servers) gateway(b *bench, address, redis string, token bool) ([]string, error) {
	ops, err := program.Reserve()
	if err != nil {
		return nil, err
	}
	s.ops = ops
	rules, err := os.ReadFile("test/bench/rules.yaml")
	if err != nil {
		return nil, err
	}
	if redis != "" {
		rules = append(bytes.TrimRight(rules, "\n"), forwarding...)
	}
	text := fmt.Sprintf("server: {address: %q}\nops: {address: %q}\nredis: {url: %q}\nlog: {level: error}\n%s", address, ops, redis, rules)
	if s.recovery {
		text += "socketio: {recovery: {enabled: true}}\n"
	}
	if token {
		text += fmt.Sprintf("auth: {jwt: {public_key: %q}}\n", b.publicKey())
	}
	file, err := os.CreateTemp(b.dir, "gateway-*.yaml")
	if err != nil {
		return nil, err
	}
	if _, err := file.WriteString(text); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return []string{b.program("gateway"), "serve", "--config", file.Name()}, file.Close()
}

// start returns once the server listens.
func (s *servers) start(ctx context.Context, args []string, address string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		return err
	}
	s.commands, s.pids = append(s.commands, cmd), append(s.pids, strconv.Itoa(cmd.Process.Pid))
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("%s does not listen", args)
}
