//go:build !linux

package program

import (
	"net"
	"os/exec"
)

// reserve finds a free port, which another socket may take before a server does.
func reserve() (address string, release func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	return l.Addr().String(), func() {}, l.Close()
}

func dieWithParent(*exec.Cmd) {}
