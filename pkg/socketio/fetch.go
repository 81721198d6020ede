package socketio

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/carillon-io/carillon/internal/recovery"
	"github.com/carillon-io/carillon/internal/recovery/move"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"go.uber.org/zap"
)

// mostFences is how often the owner of a session may have to publish another fence, because the session joined rooms meanwhile.
const mostFences = 5

// errInterrupted is for a move whose order was interrupted.
var errInterrupted = recovery.FailedFence.As(errors.New("socketio: a subscription was interrupted"))

// errNotReady is for a node that has just started: others would not find a session there.
var errNotReady = recovery.FailedRegistry.As(errors.New("socketio: the cluster does not know this server yet"))

// fetch moves the session of a pid to this node, where it is absent afterwards, if another node has it. refused says why there is
// none that could be moved. After an error the session is where it was, or here: the client is to try again. A session is
// fetched once at a time: of two calls at this node, the second would give up the first one's reservation, and both could take
// the entry for their own. by is the connection that claims it; nil: none does.
func (n *Namespace) fetch(ctx context.Context, claim recovery.Claim, tag string, by recovery.Holder) (refused *recovery.Refusal, err error) {
	claimed := time.Now()
	if n.io.known() {
		refused, err = n.fetchInTurn(ctx, claim, tag, by)
	} else {
		err = errNotReady
	}
	patience := n.io.moves.patience
	if err == nil {
		patience.Settled(claim.PID)
		return refused, nil
	}
	failure := recovery.FailureOf(err)
	if ctx.Err() != nil {
		failure = recovery.FailedLeft
	}
	n.hub.Log().CountFailure(failure)
	n.io.log.Debug("a session was not moved", zap.String("namespace", n.name), zap.Stringer("reason", failure), zap.Error(err))
	if patience.Failed(claim.PID, claimed) {
		return recovery.ReasonWaited.Refusal(), nil
	}
	return nil, err
}

// mostWait is how long a session may wait for its turn to be fetched, in MoveTimeouts.
const mostWait = 4

func (n *Namespace) fetchInTurn(
	ctx context.Context, claim recovery.Claim, tag string, by recovery.Holder,
) (refused *recovery.Refusal, err error) {
	waiting, cancel := context.WithTimeout(ctx, mostWait*n.io.cfg.Recovery.MoveTimeout)
	defer cancel()
	this, arrived, err := n.io.moves.arrive(waiting, n.name, claim.PID, by)
	if err != nil {
		return nil, recovery.FailedBusy.As(fmt.Errorf("socketio: wait for an earlier move of a session: %w", err))
	}
	defer func() { arrived() }()
	asked := ""
	for !n.hub.Log().Knows(claim.PID) {
		entry, err := n.io.cfg.Recovery.Peers.Entry(waiting, claim.PID)
		if err != nil {
			return nil, recovery.FailedRegistry.As(fmt.Errorf("socketio: look up a session: %w", err))
		}
		owner := cmp.Or(entryTag(entry), tag)
		switch {
		case owner == n.io.cfg.Engine.Tag():
			return recovery.ReasonEnded.Refusal(), nil // it is not here
		case refused != nil && entry == asked:
			return refused, nil // and it has not moved since
		case n.io.moves.patience.Hopeless(claim.PID, owner):
			return recovery.ReasonUnreached.Refusal(), nil
		}
		f := fetching{nsp: n, claim: claim, name: this.claim, owner: owner, entry: entry}
		refused, err = f.inTurn(ctx, waiting, &arrived)
		switch {
		case errors.Is(err, ErrNoPeer):
			refused = recovery.ReasonNodeGone.Refusal()
		case err != nil:
			return nil, err
		case refused == nil || !refused.Elsewhere():
			return refused, nil
		}
		asked = entry
	}
	return nil, nil // an earlier one has moved it
}

// inTurn waits for its turn while waiting lasts, and fetches the session. arrived ends the wait of other claims at this node; it is
// replaced where something is left to be done before.
func (f *fetching) inTurn(ctx, waiting context.Context, arrived *func()) (*recovery.Refusal, error) {
	m := &f.nsp.io.moves
	end, err := m.lines.turn(waiting, f.owner)
	if err != nil {
		return nil, recovery.FailedBusy.As(fmt.Errorf("socketio: wait for a turn to fetch a session: %w", err))
	}
	defer end()
	f.client = ctx
	span, over := newSpan(ctx, f.nsp.io.cfg.Recovery.MoveTimeout)
	defer over()
	f.started = time.Now()
	f.memory = f.nsp.hub.Log().Carry()
	defer f.memory.End()
	refused, err := f.run(span)
	if f.unused != "" {
		settled, back := *arrived, make(chan error, 1)
		*arrived = func() {}
		m.running.Go(func() {
			f.giveBack()
			settled()
			back <- nil
		})
		_ = await(span, back) // else the owner could let go of it, asked by the client that comes back
	}
	return refused, err
}

// entryTag is the tag of the node that an entry names.
func entryTag(entry string) string {
	tag, _, _ := strings.Cut(entry, " ")
	return tag
}

// nextEntry is what follows an entry once the node of a tag has the session.
func nextEntry(entry, tag string) string {
	_, number, _ := strings.Cut(entry, " ")
	n, _ := strconv.ParseUint(number, 10, 64)
	return tag + " " + strconv.FormatUint(n+1, 10)
}

// fetching is one session on its way to this node.
type fetching struct {
	// Static after construction.
	nsp   *Namespace
	claim recovery.Claim
	name  string // of the claim
	owner string // its tag

	client  context.Context // ends when the client leaves
	started time.Time
	memory  *recovery.Carry // for what it is handed over
	entry   string          // in the registry, as the owner knows it
	token   string
	held    []string // rooms that are subscribed to here
	bound   move.Bounds

	// unused is what may be entered for this node although the session is not here.
	unused string
}

func (f *fetching) run(ctx *span) (*recovery.Refusal, error) {
	var reserved reserveAnswer
	request := reserveRequest{Namespace: f.nsp.name, PID: f.claim.PID, Offset: f.claim.Offset, Entry: f.entry, By: f.nsp.io.cfg.Engine.Tag(), Claim: f.name}
	if err := f.ask(ctx, callReserve, request, &reserved); err != nil {
		return nil, err
	}
	if reserved.Refused != "" {
		return recovery.RefusedBy(reserved.Refused), nil
	}
	f.token, f.entry = reserved.Token, reserved.Entry
	h, log := f.nsp.hub, f.nsp.hub.Log()
	f.nsp.io.open(f.nsp)
	arrival := log.Expect()
	defer arrival.End()
	defer h.Follow()()
	missing := reserved.Rooms
	for range mostFences {
		release := h.Hold(missing)
		defer release()
		f.held = append(f.held, missing...)
		if err := f.confirm(ctx); err != nil {
			return nil, err
		}
		arrival.Record()
		answer, err := f.cut(ctx)
		if err != nil {
			return nil, err
		}
		if missing = answer.Missing; len(missing) == 0 {
			defer answer.Close()
			return f.take(ctx, arrival, answer)
		}
		answer.Close()
	}
	return nil, recovery.FailedFence.As(errors.New("socketio: the rooms of a session change too fast for it to be moved"))
}

// confirm waits until all that is published for the session's rooms comes here, and notes in which lanes.
func (f *fetching) confirm(ctx context.Context) error {
	confirmed := make(chan error, 1)
	f.nsp.hub.ConfirmLanes(f.held, func(lanes []move.Lane, err error) {
		f.bound.OpeningLanes = lanes
		confirmed <- err
	})
	return recovery.FailedFence.As(await(ctx, confirmed))
}

func await(ctx context.Context, done <-chan error) error {
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// handing is the answer to a cut, with the events behind it.
type handing struct {
	cutAnswer

	events *bufio.Reader
	size   int64 // that they take
	body   io.Closer
}

// Close gives the rest of the answer up.
func (h *handing) Close() { _ = h.body.Close() } // nothing more is wanted of it

func (f *fetching) cut(ctx *span) (*handing, error) {
	body, err := f.call(ctx, callCut, cutRequest{Token: f.token, Held: f.held})
	if err != nil {
		return nil, err
	}
	h := &handing{body: body, events: bufio.NewReader(ctx.reader(body))}
	if h.size, err = readAnswer(ctx, h.events, f.memory, &h.cutAnswer); err != nil {
		h.Close()
		return nil, fmt.Errorf("socketio: answer of the node that has the session: %w", err)
	}
	f.bound.Opening = move.Fence(h.Fence)
	return h, nil
}

// take reads what the owner hands over, and makes the session one of this node.
func (f *fetching) take(ctx context.Context, arrival *recovery.Arrival, from *handing) (*recovery.Refusal, error) {
	h, server := f.nsp.hub, f.nsp.io
	log := h.Log()
	fenced := make(chan error, 1)
	h.Fence(f.held, func(fence move.Fence, lanes []move.Lane) {
		f.bound.Closing, f.bound.ClosingLanes = fence, lanes
		arrival.Close(fence)
	}, func(err error) { fenced <- err })
	handed := recovery.Handed{Rooms: from.Rooms, Kicked: from.Kicked, Away: from.Away, Offset: cmp.Or(f.claim.Offset, from.Offset)}
	if err := log.ReadEvents(&handed, from.events, from.size); err != nil {
		return nil, brokenOff(err)
	}
	if err := await(ctx, fenced); err != nil {
		return nil, recovery.FailedFence.As(fmt.Errorf("socketio: the closing fence of a move: %w", err))
	}
	most := server.limits.Load().Rooms
	if !h.Whole(f.bound.OpeningLanes) {
		return nil, errInterrupted
	}
	if _, err := arrival.Judge(handed, f.bound, most); err != nil {
		return nil, err
	}
	entry := nextEntry(f.entry, server.cfg.Engine.Tag())
	swapped, err := server.cfg.Recovery.Peers.Swap(ctx, f.claim.PID, f.entry, entry)
	if err != nil {
		f.unused = entry
		return nil, recovery.FailedRegistry.As(fmt.Errorf("socketio: enter a session: %w", err))
	}
	if !swapped {
		return nil, recovery.FailedRaced.As(errors.New("socketio: another claim of the session was faster"))
	}
	s, err := f.install(arrival, handed, from, most)
	if err != nil {
		f.unused = entry
		return nil, err
	}
	server.moves.running.Go(f.done)
	s.holdEntry(entry)
	if errors.Is(s.unpack(ctx), conn.ErrEnded) {
		s.stay.session.End()
	}
	return nil, nil
}

// install makes the session an absent one of this node, with what has come here meanwhile.
func (f *fetching) install(arrival *recovery.Arrival, handed recovery.Handed, from *handing, most int) (*Socket, error) {
	n := f.nsp
	held, err := n.io.acquire(n.name) // by the absent socket
	if err != nil {
		return nil, err
	}
	log := n.hub.Log()
	s := held.newArrived(log.Open(f.claim.PID, from.ID, from.Handshake.Address), from)
	log.Begin()
	defer log.End()
	if handed, err = arrival.Judge(handed, f.bound, most); err == nil && !n.hub.Install(&s.member, from.ID, (*recipient)(s), handed.Rooms) {
		err = errors.New("socketio: the id of a session that moves is taken")
	}
	if err == nil {
		err = s.stay.session.Arrive(handed, (*absent)(s))
	}
	if err != nil {
		s.remove()
		s.stay.session.End()
		n.io.release(held)
		return nil, err
	}
	n.io.moves.took(time.Since(f.started))
	if handed.Kicked { // its client is sent the disconnect when it claims the session
		log.After(func() { s.kick(ServerDisconnect) })
	}
	return s, nil
}

// done tells the former owner.
func (f *fetching) done() {
	ctx, cancel := context.WithTimeout(context.Background(), f.nsp.io.cfg.Recovery.MoveTimeout)
	defer cancel()
	if body, err := f.call(ctx, callDone, doneRequest{Token: f.token}); err == nil {
		_ = body.Close() // it says nothing
	}
}

const giveBackPause = 100 * time.Millisecond // between two tries

// giveBack has the owner keep a session that cannot be taken here although it may be entered as this node's. It returns once the
// owner has changed the entry, or has let the session go because it was not asked in time.
func (f *fetching) giveBack() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*f.nsp.io.cfg.Recovery.MoveTimeout) // as the owner's lease
	defer cancel()
	for ctx.Err() == nil {
		body, err := f.call(ctx, callDone, doneRequest{Token: f.token, Unused: f.unused})
		if err == nil {
			_ = body.Close() // it says nothing
			return
		}
		if errors.Is(err, ErrNoPeer) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(giveBackPause):
		}
	}
}

// ask calls the owner, and decodes what it answers.
func (f *fetching) ask(ctx context.Context, call string, request, answer any) error {
	body, err := f.call(ctx, call, request)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // read as far as it is of use
	_, err = readAnswer(ctx, body, f.memory, answer)
	return err
}

func (f *fetching) call(ctx context.Context, call string, request any) (io.ReadCloser, error) {
	text, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	answer, err := f.nsp.io.cfg.Recovery.Peers.Call(ctx, f.owner, call, bytes.TrimSpace(text))
	patience := f.nsp.io.moves.patience
	switch {
	case err == nil || errors.Is(err, ErrNoPeer):
		patience.Answered(f.owner)
		return answer, err
	case errors.Is(err, ErrDeclined):
		patience.Answered(f.owner)
		return nil, recovery.FailedDeclined.As(err)
	case f.client.Err() == nil: // else the client has left
		patience.Silent(f.owner, err)
	}
	return nil, recovery.FailedUnreached.As(err)
}

// newArrived is an absent socket that has come from another node.
func (n *Namespace) newArrived(session *recovery.Session, from *handing) *Socket {
	s := &Socket{io: n.io, nsp: n}
	s.conn.InitGone((*owner)(s), from.ID, n.name, from.Auth)
	s.stay = newArrived(session, from)
	if len(from.Data) > 0 {
		s.SetData(json.RawMessage(from.Data))
	}
	if _, newLogic := n.entry(); newLogic != nil {
		s.logic = newLogic(s, new(Values))
	}
	return s
}

// newArrived is what a socket has that another node has handed over.
func newArrived(session *recovery.Session, from *handing) *stay {
	quiet := make(chan struct{})
	close(quiet)
	st := &stay{session: session, recovered: true, lost: true, reason: conn.TransportClose, quiet: quiet}
	st.arrived = &arrived{handshake: from.Handshake.handshake(), packed: from.State, state: from.State}
	st.losing.Do(func() {})
	return st
}
