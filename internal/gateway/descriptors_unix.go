//go:build unix

package gateway

import (
	"net"
	"syscall"
)

// fileDescriptors is how many this process may have open; 0: unknown.
func fileDescriptors() uint64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0
	}
	return uint64(limit.Cur) //nolint:unconvert // signed on FreeBSD
}

// descriptorOf is a connection's; 0 where it has none of its own.
func descriptorOf(conn net.Conn) (descriptor int) {
	open, ok := conn.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := open.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { descriptor = int(fd) }) // fails only when it is closed
	return descriptor
}
