package program

import (
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"syscall"
)

// reserve binds a socket to a free port, and does not listen. While it is bound, the kernel gives the port to no other
// socket that leaves the choice to it, listening or connecting. One that names the port may listen there, because both have
// SO_REUSEADDR, as the listeners of all servers have.
func reserve() (address string, release func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("reserve a port: %w", err)
	}
	release = func() { _ = syscall.Close(fd) }
	loopback := net.IPv4(127, 0, 0, 1)
	if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte(loopback.To4())})
	}
	var name syscall.Sockaddr
	if err == nil {
		name, err = syscall.Getsockname(fd)
	}
	bound, ok := name.(*syscall.SockaddrInet4)
	if err != nil || !ok {
		release()
		return "", nil, fmt.Errorf("reserve a port: %T, %w", name, err)
	}
	return net.JoinHostPort(loopback.String(), strconv.Itoa(bound.Port)), release, nil
}

// dieWithParent has the kernel kill the program once the thread that starts it has ended: no server is left behind by tests
// that panic, or run into their time limit.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
