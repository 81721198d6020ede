package engine

import "golang.org/x/sys/unix"

// taken is how many bytes the peer's kernel has acknowledged, and whether it has still to acknowledge some: how a client's
// progress shows, whatever is between us and its connection. Without TCP both are zero.
func (c *wsConn) taken() (bytes uint64, pending bool) {
	tcp, ok := c.inner().(tcpConn)
	if !ok {
		return 0, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, false
	}
	_ = raw.Control(func(descriptor uintptr) { // fails on a closed connection
		info, err := unix.GetsockoptTCPInfo(int(descriptor), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err == nil {
			bytes, pending = info.Bytes_acked, info.Unacked > 0 || info.Notsent_bytes > 0
		}
	})
	return bytes, pending
}
