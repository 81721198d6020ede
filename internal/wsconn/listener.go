package wsconn

import (
	"net"

	"github.com/carillon-io/carillon/internal/idle"
)

// Listener wraps the listener of a server with TLS so that WebSockets on its connections can be parked.
func Listener(l net.Listener) net.Listener { return listener{l} }

type listener struct{ net.Listener }

func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		if parkable := idle.NewRecords(conn); parkable != nil {
			return parkable, nil
		}
	}
	return conn, err
}
