package engine

import (
	"net"

	"github.com/carillon-io/carillon/internal/idle"
)

// Listener wraps the listener of a server with TLS, for http.Server.ServeTLS: idle WebSockets on its connections are then
// parked, as they are without TLS. Elsewhere than on Linux it changes nothing.
func Listener(l net.Listener) net.Listener { return parkingListener{l} }

type parkingListener struct{ net.Listener }

func (l parkingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		if parkable := idle.NewConn(conn); parkable != nil {
			return parkable, nil
		}
	}
	return conn, err
}
