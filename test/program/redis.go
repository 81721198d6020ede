package program

import (
	"net"
	"os/exec"
)

// Redis is a redis-server that is yet to be started, at a loopback address of its own. It keeps nothing on disk. For programs;
// tests have package redistest.
func Redis(dir string) (server *exec.Cmd, address string, err error) {
	if address, err = Reserve(); err != nil {
		return nil, "", err
	}
	_, port, _ := net.SplitHostPort(address) // an address of our own
	return exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", dir), address, nil
}
