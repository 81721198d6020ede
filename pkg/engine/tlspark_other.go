//go:build !linux

package engine

import "net"

func belowTLS(l net.Listener) net.Listener { return l }

type parkable struct{ tcpConn }

func parkableBelow(net.Conn) *parkable { return nil }
