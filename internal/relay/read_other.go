//go:build !unix

package relay

import "net"

// reader returns a function that reads what has arrived into a pooled buffer, which the caller gives back.
func reader(from net.Conn) func() ([]byte, int, error) {
	return func() ([]byte, int, error) { return readBuffered(from) }
}
