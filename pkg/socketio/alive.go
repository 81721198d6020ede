package socketio

import (
	"context"
	"encoding/json"
	"time"

	"go.uber.org/zap"
)

// Alive answers a later claim: it is preferred, unless the client answers for which the session is fetched, or the session has
// moved by now.
func (d *departing) Alive(within time.Duration, answer func(bool)) {
	d.nsp.io.moves.running.Go(func() {
		said := d.askPeer(within)
		if !said.Alive {
			d.settle(said.Arriving)
		}
		answer(said.Alive)
	})
}

// askGrace is how much longer a peer may take than its client.
const askGrace = time.Second

// askPeer has the peer ask its client for a sign of life, unless within is 0. A peer that cannot be asked is taken for one that is gone.
func (d *departing) askPeer(within time.Duration) (said aliveAnswer) {
	if d.peer == "" {
		return said
	}
	ctx, cancel := context.WithTimeout(context.Background(), within+askGrace)
	defer cancel()
	request := aliveRequest{Namespace: d.nsp.name, PID: d.pid, Claim: d.claim, Within: within}
	if err := d.callAlive(ctx, request, &said); err != nil {
		d.nsp.io.log.Debug("a server was not asked about its client", zap.String("tag", d.peer), zap.Error(err))
		return aliveAnswer{}
	}
	return said
}

func (d *departing) callAlive(ctx context.Context, request aliveRequest, said *aliveAnswer) error {
	text, err := json.Marshal(request)
	if err != nil {
		return err
	}
	body, err := d.nsp.io.cfg.Recovery.Peers.Call(ctx, d.peer, callAlive, text)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // read as far as it is of use
	memory := d.nsp.hub.Log().Carry()
	defer memory.End()
	_, err = readAnswer(ctx, body, memory, said)
	return err
}

// alive asks the client for which a session is fetched for a sign of life.
func (io *Server) alive(ctx context.Context, request aliveRequest) (aliveAnswer, error) {
	fetched := func() *arriving { return io.moves.fetched(request.Namespace, request.PID, request.Claim) }
	a := fetched()
	if a == nil || a.by == nil || request.Within <= 0 {
		return aliveAnswer{Arriving: a != nil}, nil
	}
	said := make(chan bool, 1)
	a.by.Alive(min(request.Within, io.cfg.Recovery.MoveTimeout), func(alive bool) { said <- alive })
	select {
	case alive := <-said:
		return aliveAnswer{Alive: alive, Arriving: fetched() != nil}, nil
	case <-ctx.Done():
		return aliveAnswer{}, ctx.Err()
	}
}
