//go:build !linux

package engine

// taken is not known here.
func (c *wsConn) taken() (bytes uint64, pending bool) { return 0, false }
