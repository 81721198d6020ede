package socketio

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/recovery"
	"go.uber.org/zap"
)

const (
	adoptBatch    = 256 // sessions that a leaving server offers in one call
	adoptParallel = 64  // how many of them the other one fetches at a time

	mostOffers = 5                      // how often what is left is offered: a move that a client asked for meanwhile may have prevented it
	offerPause = 100 * time.Millisecond // between two offers
)

// handsOver reports whether sessions of this server can become another one's.
func (io *Server) handsOver() bool { return io.cfg.Recovery.Peers != nil && io.hubs.Recovery != nil }

// handOver has other servers fetch the sessions whose clients have not come back yet, until ctx ends. What is left then ends
// with this server. drained is closed when no more sessions can become absent.
func (io *Server) handOver(ctx context.Context, drained <-chan struct{}) {
	if !io.handsOver() {
		return
	}
	defer func() {
		if left := len(io.absentSessions()); left > 0 {
			io.log.Warn("absent sockets are given up, which no other server has taken", zap.Int("sockets", left))
		}
	}()
	offers := make(map[adopted]int) // how often each session was offered
	for ctx.Err() == nil {
		last := isClosed(drained)
		var all []adopted
		for _, one := range io.absentSessions() {
			if offers[one] < mostOffers {
				offers[one]++
				all = append(all, one)
			}
		}
		switch {
		case len(all) > 0:
			if !io.offerAll(ctx, all) {
				return
			}
		case last && io.moves.quiet():
			return
		}
		select { // sessions on their way from or to this server may be here again, or only now
		case <-ctx.Done():
		case <-time.After(offerPause):
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// offerAll deals sessions out to the other servers; false: there is none.
func (io *Server) offerAll(ctx context.Context, all []adopted) bool {
	others, err := io.cfg.Recovery.Peers.Others(ctx)
	if err != nil || len(others) == 0 {
		io.log.Debug("there is no other server for absent sockets", zap.Error(err))
		return false
	}
	var handing sync.WaitGroup
	for n := 0; len(all) > 0; n++ {
		batch := all[:min(len(all), adoptBatch)]
		all = all[len(batch):]
		handing.Go(func() { io.offer(ctx, batch, others, n) })
	}
	handing.Wait()
	return true
}

// offer offers sessions to one server after the other, until one takes them.
func (io *Server) offer(ctx context.Context, batch []adopted, others []string, first int) {
	text, err := json.Marshal(adoptRequest{Node: io.cfg.Engine.Tag(), Sessions: batch})
	if err != nil {
		return
	}
	for i := range others {
		tag := others[(first+i)%len(others)]
		answer, err := io.cfg.Recovery.Peers.Call(ctx, tag, callAdopt, bytes.TrimSpace(text))
		if err == nil {
			_ = answer.Close() // it says nothing
			return
		}
		io.log.Debug("a server does not take absent sockets", zap.String("tag", tag), zap.Error(err))
	}
}

func (io *Server) absentSessions() (list []adopted) {
	for _, n := range io.table.all() {
		if !n.hub.Moves() {
			continue
		}
		for _, pid := range n.hub.Log().AbsentPIDs() {
			list = append(list, adopted{n.name, pid})
		}
	}
	return list
}

var errLeaving = errors.New("socketio: this server leaves as well")

// adopt fetches sessions of a server that leaves. Those that it has begun with it takes also when that server has left meanwhile:
// all that it needs then may be here.
func (io *Server) adopt(ctx context.Context, request adoptRequest) (struct{}, error) {
	if io.moves.leaving.Load() {
		return struct{}{}, errLeaving
	}
	var fetching sync.WaitGroup
	turns := make(chan struct{}, adoptParallel)
	for _, one := range request.Sessions {
		turns <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		fetching.Go(func() {
			io.adoptOne(context.WithoutCancel(ctx), one, request.Node)
			<-turns
		})
	}
	fetching.Wait()
	return struct{}{}, nil
}

func (io *Server) adoptOne(ctx context.Context, one adopted, tag string) {
	n, err := io.acquire(one.Namespace)
	if err != nil {
		return
	}
	defer io.release(n)
	if n.prepare() && n.hub.Moves() && !n.hub.Log().Knows(one.PID) {
		refused, _ := n.fetch(ctx, recovery.Claim{PID: one.PID}, tag, nil) // what does not move ends with its server
		if refused != nil && refused.Kicked {
			n.condemn(ctx, one.PID)
		}
	}
}

// condemn keeps a session that a command has ended, and enters it as this server's: a claim of it at any server is answered with
// the disconnect. The server that leaves has forgotten the session by then. If the entry cannot be made, only a claim at this server
// is answered so.
func (n *Namespace) condemn(ctx context.Context, pid string) {
	session := n.hub.Log().Condemn(pid)
	if session == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, n.io.cfg.Recovery.MoveTimeout)
	defer cancel()
	peers := n.io.cfg.Recovery.Peers
	const tries = 2 // the server that leaves may remove its entry in between
	for range tries {
		before, err := peers.Entry(ctx, pid)
		if err != nil {
			return
		}
		entry := nextEntry(before, n.io.cfg.Engine.Tag())
		if swapped, err := peers.Swap(ctx, pid, before, entry); err != nil || swapped {
			peers.Hold(pid, entry)
			session.Told(func() { peers.Drop(pid, entry) })
			return
		}
	}
}
