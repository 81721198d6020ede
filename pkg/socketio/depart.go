package socketio

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/recovery"
	"github.com/carillon-io/carillon/internal/recovery/move"
	"github.com/carillon-io/carillon/internal/sio/conn"
)

// ServePeer answers a call of another server's, which Peers.Call has made there. A peer can fetch any session: the caller has
// verified that the request comes from a server of this cluster.
//
// The caller has to take the answer without a break of Recovery.MoveTimeout; else its connection is reset.
func (io *Server) ServePeer(w http.ResponseWriter, r *http.Request, call string, body []byte) {
	var err error
	out := &paced{ResponseWriter: w, within: io.cfg.Recovery.MoveTimeout}
	defer out.end()
	switch {
	case io.cfg.Recovery.Peers == nil || io.hubs.Recovery == nil:
		if err = errNoRecovery; call == callReserve { // the client gets a new socket: it would try again for good
			err = servePeer(out, r, body, refuseReserve)
		}
	case call == callReserve:
		err = servePeer(out, r, body, io.reserve)
	case call == callCut:
		err = io.serveCut(out, r, body)
	case call == callDone:
		err = servePeer(out, r, body, io.departed)
	case call == callAdopt:
		err = servePeer(out, r, body, io.adopt)
	case call == callAlive:
		err = servePeer(out, r, body, io.alive)
	default:
		err = errNoRecovery
	}
	if err != nil {
		http.Error(out, err.Error(), http.StatusConflict)
	}
}

var (
	errNoRecovery    = errors.New("socketio: this server has no sessions that move")
	errNoReservation = errors.New("socketio: no such reservation, or another claim was faster")
	errNotSettled    = errors.New("socketio: the entry of a session cannot be changed now")
)

func refuseReserve(context.Context, reserveRequest) (reserveAnswer, error) {
	return reserveAnswer{Refused: recovery.ReasonImmobile.String()}, nil
}

func servePeer[Request, Answer any](w http.ResponseWriter, r *http.Request, body []byte, f func(context.Context, Request) (Answer, error)) error {
	var request Request
	if err := json.Unmarshal(body, &request); err != nil {
		return fmt.Errorf("socketio: request of a peer: %w", err)
	}
	answer, err := f(r.Context(), request)
	if err != nil {
		return err
	}
	if writeAnswer(w, answer, 0) != nil {
		panic(http.ErrAbortHandler) // the peer must not take a part for the whole
	}
	return nil
}

// departing is a session of this node that another one fetches. It holds the claim meanwhile.
type departing struct {
	// Static after construction.
	nsp   *Namespace
	token string
	pid   string // of the session
	peer  string // the tag of the node that fetches it; empty: it did not say so
	claim string // names the claim there
	held  *Namespace

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
	d := &departing{nsp: n, token: rand.Text(), pid: request.PID, entry: request.Entry, peer: request.By, claim: request.Claim, held: n}
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

// serveCut publishes a fence, and hands the session over as it is there.
func (io *Server) serveCut(w *paced, r *http.Request, body []byte) error {
	var request cutRequest
	if err := json.Unmarshal(body, &request); err != nil {
		return fmt.Errorf("socketio: request of a peer: %w", err)
	}
	d := io.moves.find(request.Token)
	if d == nil {
		return errNoReservation
	}
	d.working.Lock()
	defer d.working.Unlock()
	ctx, cancel := context.WithTimeout(r.Context(), io.cfg.Recovery.MoveTimeout)
	defer cancel()
	answer, handed, err := d.cut(ctx, request.Held)
	w.moved = d.extend
	if err != nil {
		d.fail()
		return err
	}
	if len(answer.Missing) > 0 {
		handed = recovery.Handed{}
	}
	out := bufio.NewWriterSize(w, answerChunk)
	err = writeAnswer(out, answer, handed.Size())
	if err == nil && len(answer.Missing) == 0 {
		err = handed.WriteEvents(out)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the peer must not take a part for the whole; the lease decides what becomes of the session
	}
	return nil
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

// departed ends the session here, or has it stay. An error: it is not known yet which of both.
func (io *Server) departed(_ context.Context, request doneRequest) (struct{}, error) {
	d := io.moves.find(request.Token)
	switch {
	case d == nil && request.Unused != "":
		return struct{}{}, nil // it is known
	case d == nil:
		return struct{}{}, errNoReservation
	case request.Unused == "":
		d.leave()
		return struct{}{}, nil
	}
	d.mu.Lock()
	d.unused = request.Unused
	d.mu.Unlock()
	d.fail()
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.over {
		return struct{}{}, errNotSettled
	}
	return struct{}{}, nil
}

// Proof is none: it is never asked for.
func (d *departing) Proof() time.Time { return time.Time{} }

// expire ends a move whose peer is silent.
func (d *departing) expire() { d.nsp.io.moves.running.Go(func() { d.settle(d.askPeer(0).Arriving) }) }

// settleAgain is how long a session waits whose entry cannot be read before the next try.
const settleAgain = time.Second

// fail is settle where nothing is known of the peer.
func (d *departing) fail() { d.settle(false) }

// settle has the session stay, unless it has moved. Where the peer may have entered it as its own, the entry decides: once this
// node has changed it, the peer cannot any more. arriving: the peer is at it still. It may have entered a session that it cannot
// take, and says so then.
func (d *departing) settle(arriving bool) {
	if d.withdraw() {
		return
	}
	d.mu.Lock()
	unused := d.unused
	d.mu.Unlock()
	io := d.nsp.io
	ctx, cancel := context.WithTimeout(context.Background(), io.cfg.Recovery.MoveTimeout)
	defer cancel()
	entry := nextEntry(d.entry, io.cfg.Engine.Tag())
	stays, err := io.cfg.Recovery.Peers.Swap(ctx, d.pid, d.entry, entry)
	if err == nil && !stays && unused != "" {
		entry = nextEntry(unused, io.cfg.Engine.Tag())
		stays, err = io.cfg.Recovery.Peers.Swap(ctx, d.pid, unused, entry)
	}
	switch {
	case err != nil || !stays && arriving:
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.over {
			d.lease.Reset(settleAgain)
		}
	case stays:
		if a, ok := d.session.Absent().(*absent); ok {
			(*Socket)(a).holdEntry(entry)
		}
		d.stay()
	default:
		d.leave()
	}
}

// bequeath ends a move of a node that ends. A session that the peer has been handed goes on there: whatever becomes of it, it
// would end here. It is entered as the peer's, which may not have done so yet, for claims elsewhere that no longer reach this node.
func (d *departing) bequeath() {
	if d.withdraw() {
		return
	}
	if d.peer == "" {
		d.fail()
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.nsp.io.cfg.Recovery.MoveTimeout)
	defer cancel()
	_, _ = d.nsp.io.cfg.Recovery.Peers.Swap(ctx, d.pid, d.entry, nextEntry(d.entry, d.peer)) // else the peer does
	d.leave()
}

// close ends what reserve has begun; false: it has ended before.
func (d *departing) close() (departure *recovery.Departure, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closeLocked()
}

func (d *departing) closeLocked() (departure *recovery.Departure, ok bool) {
	if d.over {
		return nil, false
	}
	d.over = true
	d.lease.Stop()
	d.stop()
	d.nsp.io.moves.remove(d)
	return d.departure, true
}

// withdraw has the session stay if it was not offered: from then on it cannot be. false: the peer may have entered it as its own.
func (d *departing) withdraw() bool {
	d.mu.Lock()
	if d.offered && !d.over {
		d.mu.Unlock()
		return false
	}
	departure, ok := d.closeLocked()
	d.mu.Unlock()
	if ok {
		d.keep(departure)
	}
	return true
}

func (d *departing) stay() {
	if departure, ok := d.close(); ok {
		d.keep(departure)
	}
}

// keep has the session be this node's alone again, once this is closed.
func (d *departing) keep(departure *recovery.Departure) {
	if departure != nil {
		departure.Stay()
	}
	d.session.Release(d)
	d.nsp.io.release(d.held)
}

func (d *departing) leave() {
	departure, ok := d.close()
	if !ok {
		return
	}
	defer d.nsp.io.release(d.held)
	if departure == nil {
		d.session.Release(d)
		return
	}
	a, _ := departure.Leave().(*absent)
	if a == nil {
		return
	}
	s := (*Socket)(a)
	if m, ok := s.logic.(conn.Mover); ok {
		m.Moved()
	}
	s.forgetRooms()
	s.dropEntry()
	s.io.release(s.nsp)
}
