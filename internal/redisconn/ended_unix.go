//go:build unix

package redisconn

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
)

// ended reports whether the other side has ended a connection, as far as this machine knows already. It does not wait.
func ended(raw net.Conn) (is bool) {
	if secure, ok := raw.(*tls.Conn); ok {
		raw = secure.NetConn()
	}
	conn, ok := raw.(syscall.Conn)
	if !ok {
		return false
	}
	descriptor, err := conn.SyscallConn()
	if err != nil {
		return true
	}
	err = descriptor.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		is = err == nil && n == 0 || err != nil && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
	})
	return is || err != nil
}
