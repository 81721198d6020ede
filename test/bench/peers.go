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
	ops      []string // where the gateways have their metrics
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

// startPeer starts a server, as a node of a cluster where there is a Redis, whose URL is given.
func (s *servers) startPeer(ctx context.Context, b *bench, peer, redis string, as setup) (address string, err error) {
	address, err = program.Reserve()
	if err != nil {
		return "", err
	}
	var args []string
	switch peer {
	case node:
		args, err = nodeServer(b, address, redis, as)
	case carillon:
		args, err = s.gateway(b, address, redis, as)
	default:
		args = []string{b.program(peer), address}
	}
	if err != nil {
		return "", err
	}
	return address, s.start(ctx, pinned(b.servers, args...), address)
}

func nodeServer(b *bench, address, redis string, as setup) ([]string, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	options := map[string]any{"port": port, "redis": redis, "adapter": as.adapter, "recovery": as.recovery, "deflate": as.deflate}
	if as.tls {
		options["cert"], options["key"] = b.certificate()
	}
	text, err := json.Marshal(options)
	return []string{"node", "test/bench/peer.mjs", string(text)}, err
}

// forwarding follows the rules of a gateway with a Redis.
const forwarding = `
      - {event: forward, do: [{forward: bench}], ack: accepted}
routes: {bench: {partitions: 4}}
`

func (s *servers) gateway(b *bench, address, redis string, as setup) ([]string, error) {
	ops, err := program.Reserve()
	if err != nil {
		return nil, err
	}
	s.ops = append(s.ops, ops)
	rules, err := os.ReadFile("test/bench/rules.yaml")
	if err != nil {
		return nil, err
	}
	if redis != "" {
		rules = append(bytes.TrimRight(rules, "\n"), forwarding...)
	}
	secure := ""
	if as.tls {
		cert, key := b.certificate()
		secure = fmt.Sprintf(", tls: {cert: %q, key: %q}", cert, key)
	}
	text := fmt.Sprintf("server: {address: %q%s}\nops: {address: %q}\nredis: {url: %q}\nlog: {level: error}\n%s", address, secure, ops, redis, rules)
	if as.recovery {
		text += "socketio: {recovery: {enabled: true}}\n"
	}
	if as.deflate {
		text += "engine: {compression: {websocket: true}}\n"
	}
	if as.adapter != "" {
		text += fmt.Sprintf("adapter: {kind: %s}\n", as.adapter)
	}
	if as.token {
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
