package socketio

import (
	"context"
	"time"

	"github.com/carillon-io/carillon/internal/recovery"
)

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
	d.nsp.io.release(d.nsp)
}

func (d *departing) leave() {
	departure, ok := d.close()
	if !ok {
		return
	}
	defer d.nsp.io.release(d.nsp)
	if departure == nil {
		d.session.Release(d)
		return
	}
	a, _ := departure.Leave().(*absent)
	if a == nil {
		return
	}
	s := (*Socket)(a)
	s.dropEntry()
	s.moveOut()
}
