package engine

import "net"

// Listener wraps the listener of a server with TLS, for http.Server.ServeTLS: idle WebSockets on its connections are then
// parked, as they are without TLS. Elsewhere than on Linux it returns l.
func Listener(l net.Listener) net.Listener { return belowTLS(l) }
