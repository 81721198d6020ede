package engine

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// taken is how many bytes the peer's kernel has acknowledged, and whether it has still to acknowledge some: how a client's
// progress shows, whatever is between us and its connection. Without TCP both are zero.
func (c *wsConn) taken() (bytes uint64, pending bool) {
	ask := func(descriptor uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(descriptor), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			bytes, pending = info.Bytes_acked, info.Unacked > 0 || info.Notsent_bytes > 0
		}
	}
	if c.socket != nil {
		_ = c.socket.Control(ask) // fails on a closed connection
	} else if tcp, ok := c.inner().(syscall.Conn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			_ = raw.Control(ask) // fails on a closed connection
		}
	}
	return bytes, pending
}
