package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/carillon-io/carillon/test/program"
)

// server is one process of a cluster.
type server struct {
	address, probe string
	cmd            *exec.Cmd
}

type cluster struct {
	redis   *exec.Cmd
	servers []*server
}

// startCluster starts Redis and three servers, and waits until they are ready.
func startCluster(kind, gateway, dir string, limit int) (c *cluster, err error) {
	c = &cluster{}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	var address string
	if c.redis, address, err = program.Redis(dir); err != nil {
		return nil, err
	}
	if err := c.redis.Start(); err != nil {
		return nil, err
	}
	for i := range 3 {
		s, err := newServer(kind, gateway, dir, "redis://"+address, i, limit)
		if err != nil {
			return nil, err
		}
		s.cmd.Stderr = os.Stderr
		if err := s.cmd.Start(); err != nil {
			return nil, err
		}
		c.servers = append(c.servers, s)
	}
	for _, s := range c.servers {
		if err := s.await(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

const configuration = `
server: {address: %q}
ops: {address: %q}
peer: {address: %q}
redis: {url: %q}
limits: {handshakes: %d}
drain: {delay: 0s, window: 0s}
log: {level: error}
`

func newServer(kind, gateway, dir, redis string, i, limit int) (*server, error) {
	var free [3]string
	for j := range free {
		var err error
		if free[j], err = program.Reserve(); err != nil {
			return nil, err
		}
	}
	s := &server{address: free[0]}
	if kind == "node" {
		_, port, _ := net.SplitHostPort(s.address) // an address of our own
		s.cmd = exec.Command("node", "test/bench/peer.mjs", port, redis)
		s.probe = "http://" + s.address + "/socket.io/?transport=none" // refused by the server itself
		return s, nil
	}
	file := filepath.Join(dir, strconv.Itoa(i)+".yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, configuration, free[0], free[1], free[2], redis, limit), 0o600); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(gateway, "serve", "--config", file)
	s.probe = "http://" + free[1] + "/readyz"
	return s, nil
}

func (s *server) await() error {
	for range 500 {
		if response, err := http.Get(s.probe); err == nil {
			_ = response.Body.Close() // its status tells
			if response.StatusCode < http.StatusInternalServerError {
				return nil
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("%s is not ready", s.address)
}

// stop kills what runs: nothing of it is of use.
func (c *cluster) stop() {
	for _, s := range c.servers {
		_ = s.cmd.Process.Kill() // one was killed already
		_ = s.cmd.Wait()
	}
	if c.redis != nil && c.redis.Process != nil {
		_ = c.redis.Process.Kill()
		_ = c.redis.Wait()
	}
}
