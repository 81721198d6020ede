//go:build linux

package load

import (
	"context"
	"errors"
	"net"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// Once a generator has ended, its descriptors are given to others: a late write would go into the stream of another connection.
func TestRun_WritesToNoDescriptorAfterItsEnd(t *testing.T) {
	before := goleak.IgnoreCurrent()
	listener, err := net.Listen("tcp", "127.0.0.1:0") // of a server that answers no TLS handshake
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	o := short("connect", "https://"+listener.Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var accepted []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer cancel()
		for range o.Clients {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			accepted = append(accepted, conn)
			_, _ = conn.Read(make([]byte, 1)) // the handshake has begun
		}
	}()
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	<-done

	var pairs [100][2]int // some have the numbers that were the generator's
	for i := range pairs {
		if pairs[i], err = unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, conn := range accepted {
		_ = conn.Close() // which ends a handshake that is still under way
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
	for _, pair := range pairs {
		for _, end := range pair {
			var written [16]byte
			if n, _ := unix.Read(end, written[:]); n > 0 {
				t.Errorf("% x was written to a descriptor that belongs to another", written[:n])
			}
		}
		for _, end := range pair {
			_ = unix.Close(end)
		}
	}
}
