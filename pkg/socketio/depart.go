package socketio

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/recovery"
	"github.com/carillon-io/carillon/internal/recovery/move"
	"github.com/carillon-io/carillon/internal/sio/conn"
)

// departing is a session of this node that another one fetches. It holds the claim meanwhile.
type departing struct {
	// Static after construction.
	nsp   *Namespace // held until it is over
	token string
	pid   string // of the session
	peer  string // the tag of the node that fetches it; empty: it did not say so
	claim string // names the claim there

	// Set while reserve holds mu, and static afterwards. Alive may be called before.
	session *recovery.Session
	entry   string // in the registry, as this node has it, or the peer found it
	stop    func() // of the hub's Follow

	working sync.Mutex // held by one call at a time; taken before mu

	mu sync.Mutex
	// mu guards the following.
	departure *recovery.Departure // from the first cut on
	offered   bool                // the peer may have entered the session as its own
	unused    string              // under this entry, which counts for nothing; empty: it counts
	over      bool
	lease     *time.Timer
}

var _ recovery.Holder = (*departing)(nil)

// Proof is none: it is never asked for.
func (d *departing) Proof() time.Time { return time.Time{} }

// reserve claims a session for another node.
func (io *Server) reserve(ctx context.Context, request reserveRequest) (reserveAnswer, error) {
	n := io.table.hold(request.Namespace)
	if n == nil {
		return reserveAnswer{Refused: recovery.ReasonNamespace.String()}, nil
	}
	_, arrived, err := io.moves.arrive(ctx, request.Namespace, request.PID, nil) // it may be entered as this node's, and not be here yet
	if err != nil {
		io.release(n)
		return reserveAnswer{}, fmt.Errorf("socketio: wait for a session that arrives: %w", err)
	}
	arrived()
	d := &departing{nsp: n, token: rand.Text(), pid: request.PID, entry: request.Entry, peer: request.By, claim: request.Claim}
	d.mu.Lock() // once the claim counts, a later one may end it at any time, which waits for the rest
	defer d.mu.Unlock()
	session, refused := d.reserve(ctx, request)
	if refused != nil {
		d.over = true
		io.release(n)
		if refused.Again {
			return reserveAnswer{}, errNoReservation
		}
		return reserveAnswer{Refused: refused.Reason.String()}, nil
	}
	d.session = session
	if entry := session.Entry(); entry != "" {
		d.entry = entry
	}
	a, _ := session.Absent().(*absent)
	if a == nil {
		d.over = true
		session.Release(d)
		io.release(n)
		return reserveAnswer{}, errNoReservation
	}
	d.stop = n.hub.Follow()
	d.lease = time.AfterFunc(io.cfg.Recovery.MoveTimeout, d.expire)
	io.moves.add(d)
	return reserveAnswer{Token: d.token, Entry: d.entry, Rooms: a.Rooms(nil)}, nil
}

func (d *departing) reserve(ctx context.Context, request reserveRequest) (*recovery.Session, *recovery.Refusal) {
	if !d.nsp.hub.Moves() {
		return nil, recovery.ReasonImmobile.Refusal()
	}
	session, refused := d.nsp.hub.Log().Claim(ctx, recovery.Claim{PID: request.PID, Offset: request.Offset}, d, "")
	if refused != nil {
		return nil, refused
	}
	if a, ok := session.Absent().(*absent); ok && !(*Socket)(a).mayMove() {
		session.Release(d)
		return nil, recovery.ReasonImmobile.Refusal()
	}
	return session, nil
}

// mayMove reports whether everything of an absent socket can be handed over.
func (s *Socket) mayMove() bool {
	if _, ok := s.logic.(conn.Mover); !ok && s.logic != nil {
		return false
	}
	data := s.Data()
	return data == nil || s.io.conns.JSON(data) != nil
}

// cut publishes a fence, waits for it, and describes the session as it is there.
func (d *departing) cut(ctx context.Context, held []string) (answer cutAnswer, handed recovery.Handed, err error) {
	a, _ := d.session.Absent().(*absent)
	if a == nil {
		return answer, handed, errNoReservation
	}
	s := (*Socket)(a)
	awaitQuiet(ctx, s)
	departure, err := d.begin()
	if err != nil {
		return answer, handed, err
	}
	if answer, err = s.describeForPeer(ctx); err != nil {
		return answer, handed, err
	}
	most := d.nsp.io.limits.Load().Rooms
	kept := false
	fenced := make(chan error, 1)
	d.nsp.hub.Fence(held, func(f move.Fence, lanes []move.Lane) {
		kept = departure.Cut(most, f, lanes)
		answer.Fence = fence(f)
	}, func(err error) { fenced <- err })
	if err := await(ctx, fenced); err != nil {
		return answer, handed, fmt.Errorf("socketio: the fence of a move: %w", err)
	}
	handed, missing, complete := departure.Handed(held)
	switch {
	case !kept || !complete:
		return answer, handed, errInterrupted
	case len(missing) > 0:
		return cutAnswer{Missing: missing}, handed, nil
	}
	answer.Rooms, answer.Kicked, answer.Away, answer.Offset = handed.Rooms, handed.Kicked, handed.Away, handed.Offset
	return answer, handed, d.offer()
}

// begin makes the claim a departure, which nothing but its result ends.
func (d *departing) begin() (*recovery.Departure, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over || d.offered {
		return nil, errNoReservation
	}
	if d.departure == nil {
		departure, ok := d.session.Depart(d)
		if !ok {
			return nil, errNoReservation
		}
		d.departure = departure
	}
	d.lease.Reset(2 * d.nsp.io.cfg.Recovery.MoveTimeout)
	return d.departure, nil
}

// extend notes that the peer takes what it is handed over.
func (d *departing) extend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.over {
		d.lease.Reset(2 * d.nsp.io.cfg.Recovery.MoveTimeout)
	}
}

// offer notes that the peer may enter the session as its own from now on.
func (d *departing) offer() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return errNoReservation
	}
	d.offered = true
	return nil
}

// describeForPeer is what another node needs to know of an absent socket, beside its rooms and events.
func (s *Socket) describeForPeer(ctx context.Context) (cutAnswer, error) {
	answer := cutAnswer{ID: s.ID(), Auth: s.conn.Auth(), Handshake: peerHandshake(s.Handshake())}
	if data := s.Data(); data != nil {
		if answer.Data = s.io.conns.JSON(data); answer.Data == nil {
			return answer, errors.New("socketio: Data is no JSON")
		}
	}
	if m, ok := s.logic.(conn.Mover); ok {
		if err := s.unpack(ctx); err != nil {
			return answer, err
		}
		state, err := m.Pack(ctx)
		if err != nil {
			return answer, fmt.Errorf("socketio: pack a socket: %w", err)
		}
		answer.State = state
	}
	return answer, nil
}
