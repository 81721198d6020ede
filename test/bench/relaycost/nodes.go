package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/carillon-io/carillon/internal/load"
	"github.com/carillon-io/carillon/test/program"
)

// node is a gateway process.
type node struct {
	address, ops string
	cmd          *exec.Cmd
}

type nodes struct {
	owner, relaying *node
	dir             string
}

const configuration = `
server: {address: %q}
ops: {address: %q}
peer: {address: %q, secret: 0123456789abcdef0123456789abcdef, nodes: [%q, %q]}
engine: {ping_interval: 1h, ping_timeout: 1h}
drain: {delay: 0s, window: 0s}
log: {level: error}
namespaces: {"/": {rules: [{event: echo, ack: "${args}"}]}}
`

// startNodes builds the gateway and runs two nodes that relay to each other.
func startNodes() (*nodes, error) {
	dir, err := os.MkdirTemp("", "relaycost-")
	if err != nil {
		return nil, err
	}
	n := &nodes{dir: dir, owner: &node{}, relaying: &node{}}
	binary := filepath.Join(dir, "gateway")
	if err := program.BuildGateway(binary, "-trimpath"); err != nil {
		return nil, errors.Join(err, n.stop())
	}
	var free [6]string
	for i := range free {
		if free[i], err = program.Reserve(); err != nil {
			return nil, errors.Join(err, n.stop())
		}
	}
	for i, each := range []*node{n.owner, n.relaying} {
		each.address, each.ops = free[i], free[2+i]
		file := filepath.Join(dir, strconv.Itoa(i)+".yaml")
		text := fmt.Sprintf(configuration, each.address, each.ops, free[4+i], "http://"+free[4], "http://"+free[5])
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, errors.Join(err, n.stop())
		}
		each.cmd = exec.Command(binary, "serve", "--config", file)
		each.cmd.Stderr = os.Stderr
		if err := each.cmd.Start(); err != nil {
			each.cmd = nil
			return nil, errors.Join(err, n.stop())
		}
	}
	for _, each := range []*node{n.owner, n.relaying} {
		if err := each.await(); err != nil {
			return nil, errors.Join(err, n.stop())
		}
	}
	return n, nil
}

// await waits until the node is ready.
func (n *node) await() error {
	for range 500 {
		if response, err := http.Get("http://" + n.ops + "/readyz"); err == nil {
			_ = response.Body.Close() // its status tells
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("%s is not ready", n.ops)
}

// settled is the node's resident memory in bytes once it falls no more: a quiet node gives back what it does not need.
func (n *node) settled() float64 {
	least, same := n.resident(), 0
	for same < 4 {
		time.Sleep(time.Second)
		now := n.resident()
		if now < least*0.99 {
			same = 0
		} else {
			same++
		}
		least = min(least, now)
	}
	return n.resident()
}

func (n *node) resident() float64 { return float64(load.ResidentBytes([]int{n.cmd.Process.Pid})) }

// cpu is the processor time that both nodes have used.
func (n *nodes) cpu() time.Duration {
	seconds, _ := load.CPUSeconds([]int{n.owner.cmd.Process.Pid, n.relaying.cmd.Process.Pid})
	return time.Duration(seconds * float64(time.Second))
}

func (n *nodes) stop() (err error) {
	for _, each := range []*node{n.owner, n.relaying} {
		if each.cmd != nil {
			_ = each.cmd.Process.Signal(syscall.SIGTERM) // it may have left
			err = errors.Join(err, each.cmd.Wait())
		}
	}
	return errors.Join(err, os.RemoveAll(n.dir))
}
