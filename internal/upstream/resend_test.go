package upstream_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/upstream"
)

// faults decides about connections, the same way for the same seed and order.
type faults struct {
	mu     sync.Mutex
	random *rand.Rand
	lost   int
}

// strikes reports whether this one is hit, one in n.
func (f *faults) strikes(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.random.IntN(n) > 0 {
		return false
	}
	f.lost++
	return true
}

// lossy is a connection to Redis that now and then ends after a command was sent: sometimes before Redis has it whole,
// mostly when it was carried out and only the reply is missing.
type lossy struct {
	net.Conn

	faults *faults
}

// Close does not mind that the connection has ended.
func (l lossy) Close() error {
	_ = l.Conn.Close()
	return nil
}

func (l lossy) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if err == nil && l.faults.strikes(12) {
		_ = l.Conn.Close()
		return 0, io.EOF
	}
	return n, err
}

func (l lossy) Write(b []byte) (int, error) {
	if len(b) > 100 && l.faults.strikes(40) {
		_, _ = l.Conn.Write(b[:len(b)/2])
		_ = l.Conn.Close()
		return 0, io.ErrClosedPipe
	}
	return l.Conn.Write(b)
}

func TestResend_WhatIsSentAgainIsStoredOnceAndClientsLearnTheIDs(t *testing.T) {
	t.Parallel()
	const sockets, events = 8, 120
	for _, seed := range []uint64{1, 2, 3} {
		s := startServer(t)
		f := &faults{random: rand.New(rand.NewPCG(seed, 0))}
		n := startWith(t, goredis.NewClient(&goredis.Options{
			Addr: s.Address, Protocol: 2, MaxRetries: -1, DisableIdentity: true, ReadTimeout: time.Second,
			Dialer: func(ctx context.Context, network, address string) (net.Conn, error) {
				var d net.Dialer
				c, err := d.DialContext(ctx, network, address)
				return lossy{c, f}, err
			},
		}), route(func(r *config.Route) { r.Lifecycle, r.Deadline = true, time.Hour }))
		a := &accepted{ids: map[string]string{}}
		var sending sync.WaitGroup
		for i := range sockets {
			sending.Go(func() {
				sid := fmt.Sprintf("sid-%d", i)
				c := n.open(upstream.Client{ID: sid})
				for e := range events {
					stored := c.send("orders", "e", fmt.Sprintf("[%d]", e))
					if what := fmt.Sprintf("%s [%d]", sid, e); e%3 == 0 {
						a.wait(t, what, stored)
					} else {
						sending.Go(func() { a.wait(t, what, stored) })
					}
				}
				c.leave("bye")
			})
		}
		sending.Wait()
		n.leave(patience)
		a.account(t, s)
		if got := ends(t, s, 1); len(got) != sockets || len(a.ids) != sockets*events {
			t.Errorf("seed %d: %d events accepted, %d sockets ended", seed, len(a.ids), len(got))
		}
		if f.lost < 5 {
			t.Errorf("seed %d: only %d connections were lost", seed, f.lost)
		}
	}
}
