package socketio

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carillon-io/carillon/internal/recovery/patience"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/engine"
)

// moves are the sessions of a server that are on their way to another one.
type moves struct {
	running sync.WaitGroup // goroutines that moves have started
	leaving atomic.Bool    // the server takes no more sessions
	took    func(time.Duration)

	patience *patience.Tracker // static
	lines    lines

	mu sync.Mutex
	// mu guards the following.
	settled   bool                     // start starts nothing any more
	departing map[string]*departing    // by token
	arriving  map[string]chan struct{} // by namespace and pid: sessions that are fetched; closed when that is over
}

// arrive waits until no session of a pid is fetched to this server, then keeps others waiting until done is called.
func (m *moves) arrive(ctx context.Context, nsp, pid string) (done func(), err error) {
	key := nsp + " " + pid
	for {
		m.mu.Lock()
		earlier := m.arriving[key]
		if earlier == nil {
			break
		}
		m.mu.Unlock()
		select {
		case <-earlier:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer m.mu.Unlock()
	if m.arriving == nil {
		m.arriving = make(map[string]chan struct{})
	}
	over := make(chan struct{})
	m.arriving[key] = over
	return func() {
		m.mu.Lock()
		delete(m.arriving, key)
		m.mu.Unlock()
		close(over)
	}, nil
}

// quiet reports whether no session is on its way to or from another server.
func (m *moves) quiet() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.departing) == 0 && len(m.arriving) == 0
}

func (m *moves) add(d *departing) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.departing == nil {
		m.departing = make(map[string]*departing)
	}
	m.departing[d.token] = d
}

func (m *moves) find(token string) *departing {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.departing[token]
}

func (m *moves) remove(d *departing) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.departing, d.token)
}

// start runs f on a goroutine that settle waits for; once settle was called, it does nothing.
func (m *moves) start(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.settled {
		m.running.Go(f)
	}
}

// settle ends the moves that are under way, of a server that ends.
func (m *moves) settle() {
	m.mu.Lock()
	m.settled = true
	all := make([]*departing, 0, len(m.departing))
	for _, d := range m.departing {
		all = append(all, d)
	}
	m.mu.Unlock()
	for _, d := range all {
		m.running.Go(d.bequeath)
	}
	m.running.Wait()
}

// arrived is what a socket has of the one that another node has handed over. It has had no connection here.
type arrived struct {
	// Static after construction.
	handshake engine.Handshake
	packed    []byte // by the Logic there

	mu    sync.Mutex // held while the Logic unpacks
	state []byte     // what of packed it has not unpacked yet; mu guards it
	ended bool       // it has found out that the socket has ended; likewise
}

// unpack makes the Logic of a socket that has come from another node that of the socket there.
func (s *Socket) unpack(ctx context.Context) error {
	if s.stay == nil || s.stay.arrived == nil {
		return nil
	}
	a := s.stay.arrived
	a.mu.Lock()
	defer a.mu.Unlock()
	m, ok := s.logic.(conn.Mover)
	switch {
	case a.ended:
		return conn.ErrEnded
	case !ok || a.state == nil:
		return nil
	}
	err := m.Unpack(ctx, a.state)
	switch {
	case errors.Is(err, conn.ErrEnded):
		a.ended = true
	case err == nil:
		a.state = nil
	}
	return err
}
