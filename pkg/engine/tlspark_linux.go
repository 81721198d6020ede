package engine

import (
	"errors"
	"io"
	"net"
	"syscall"
)

func belowTLS(l net.Listener) net.Listener { return parkableListener{l} }

type parkableListener struct{ net.Listener }

func (l parkableListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if tcp, ok := conn.(tcpConn); ok {
		return &parkable{tcpConn: tcp}, err
	}
	return conn, err
}

// parkable is a connection below TLS whose reader may ask not to wait. It then reports an error that crypto/tls takes for a
// passing one: what has arrived of a record is kept, and the next Read goes on from there.
type parkable struct {
	tcpConn
	// Owned by the reader.
	run *readRun // while there is one, Read does not wait
}

// NetConn returns the connection that is wrapped.
func (p *parkable) NetConn() net.Conn { return p.tcpConn }

func (p *parkable) Read(b []byte) (int, error) {
	if p.run == nil {
		return p.tcpConn.Read(b)
	}
	n, err := ignoringInterrupts(syscall.Read, p.run.descriptor, b)
	switch {
	case n > 0:
		return n, nil
	case err == nil:
		return 0, io.EOF
	case errors.Is(err, syscall.EAGAIN):
		return 0, errNothingYet{}
	}
	return 0, err
}

// errNothingYet is errIdle for crypto/tls.
type errNothingYet struct{}

func (errNothingYet) Error() string        { return errIdle.Error() }
func (errNothingYet) Timeout() bool        { return false }
func (errNothingYet) Temporary() bool      { return true }
func (errNothingYet) Is(target error) bool { return target == errIdle }

// parkableBelow returns the connection below TLS, if it came from a Listener.
func parkableBelow(conn net.Conn) *parkable {
	if encrypted, ok := conn.(interface{ NetConn() net.Conn }); ok {
		below, _ := encrypted.NetConn().(*parkable)
		return below
	}
	return nil
}

// setRun makes reads wait or not.
func (p *parkable) setRun(r *readRun) {
	if p != nil {
		p.run = r
	}
}
