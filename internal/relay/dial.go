package relay

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// mostDials is how many connections to one node are opened at a time. Left to itself net/http opens one for each request that
// finds none: a burst would cost both nodes thousands, although one connection carries hundreds of requests.
const mostDials = 4

// dialer opens connections to nodes. For a moment after one has timed out, others to the same address fail at once: they wait for
// each other, so that each would take as long again.
type dialer struct {
	// Static after construction.
	open   func(ctx context.Context, network, address string) (net.Conn, error)
	moment time.Duration // for which others fail

	mu sync.Mutex
	// mu guards the following.
	silent map[string]silence // by address
}

// silence is an address that has not answered.
type silence struct {
	since time.Time
	err   error
}

func newDialer(timeout time.Duration) *dialer {
	d := &net.Dialer{Timeout: timeout, KeepAlive: 15 * time.Second}
	return &dialer{open: d.DialContext, moment: timeout}
}

// dial implements [http.Transport.DialContext].
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := d.recent(address); err != nil {
		return nil, err
	}
	conn, err := d.open(ctx, network, address)
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.silent, address)
	if timeout := (net.Error)(nil); errors.As(err, &timeout) && timeout.Timeout() && ctx.Err() == nil {
		if d.silent == nil {
			d.silent = make(map[string]silence)
		}
		d.silent[address] = silence{time.Now(), err}
	}
	return conn, err
}

// recent is the error of a dial that has timed out a moment ago; nil: none has.
func (d *dialer) recent(address string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for other, s := range d.silent {
		if time.Since(s.since) >= d.moment {
			delete(d.silent, other) // few nodes are silent at a time
		}
	}
	return d.silent[address].err
}
