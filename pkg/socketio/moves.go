package socketio

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carillon-io/carillon/internal/recovery"
	"github.com/carillon-io/carillon/internal/recovery/patience"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/engine"
)

// moves are the sessions of a server that are on their way to another one.
type moves struct {
	running sync.WaitGroup // goroutines that moves have started
	known   atomic.Bool    // other servers can find this one
	leaving atomic.Bool    // the server takes no more sessions
	took    func(time.Duration)

	patience *patience.Tracker // static
	lines    lines

	mu sync.Mutex
	// mu guards the following.
	settled   bool                  // start starts nothing any more
	departing map[string]*departing // by token
	arriving  map[string]*arriving  // by namespace and pid
}

// known reports whether other servers can find this one, and what it has.
func (io *Server) known() bool {
	if !io.moves.known.Load() && io.cfg.Adapter.State().Ready {
		io.moves.known.Store(true)
	}
	return io.moves.known.Load()
}

// arriving is a session that is fetched to this server.
type arriving struct {
	claim string          // names the claim that it is fetched for, for its owner
	by    recovery.Holder // the connection that claims it; nil: none does
	over  chan struct{}   // closed when it is fetched, or cannot be
}

func arrivingKey(nsp, pid string) string { return nsp + " " + pid }

// arrive waits until no session of a pid is fetched to this server, then keeps others waiting until done is called. by is the
// connection that claims it; nil: none does.
func (m *moves) arrive(ctx context.Context, nsp, pid string, by recovery.Holder) (this *arriving, done func(), err error) {
	key := arrivingKey(nsp, pid)
	for {
		m.mu.Lock()
		earlier := m.arriving[key]
		if earlier == nil {
			break
		}
		m.mu.Unlock()
		select {
		case <-earlier.over:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	defer m.mu.Unlock()
	if m.arriving == nil {
		m.arriving = make(map[string]*arriving)
	}
	this = &arriving{claim: rand.Text(), by: by, over: make(chan struct{})}
	m.arriving[key] = this
	return this, func() {
		m.mu.Lock()
		delete(m.arriving, key)
		m.mu.Unlock()
		close(this.over)
	}, nil
}

// fetched is the session that is fetched to this server for a claim; nil: that is over.
func (m *moves) fetched(nsp, pid, claim string) *arriving {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a := m.arriving[arrivingKey(nsp, pid)]; a != nil && a.claim == claim {
		return a
	}
	return nil
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
