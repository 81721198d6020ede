package relay

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// live is what passes through this node at the moment: what a drain has to let go of.
type live struct {
	draining atomic.Bool

	mu sync.Mutex
	// mu guards the following. Both maps are made when first needed.
	polls   map[*poll]struct{}
	sockets map[*shuttle]struct{}
	ended   chan struct{} // receives when sockets shrinks; nil until a drain waits
}

// poll is a relayed GET that waits for its owner's answer.
type poll struct {
	sid   string
	owner *url.URL
}

// add notes a request that may wait for long. Only a poll does; nil for anything else.
func (l *live) add(req *http.Request, owner *url.URL) *poll {
	if req.Method != http.MethodGet {
		return nil
	}
	p := &poll{sid: idOf(req), owner: owner}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.polls == nil {
		l.polls = make(map[*poll]struct{})
	}
	l.polls[p] = struct{}{}
	return p
}

func (l *live) remove(p *poll) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.polls, p)
}

// Drain lets go of all that passes through this node, evenly over window: the owners end waiting polls with a noop, and send the
// clients of WebSockets away: only they know what is queued, and whether an upgrade is in progress. It returns when all have
// ended. When ctx ends first, it cuts what is left and returns ctx's error.
func (r *Relay) Drain(ctx context.Context, window time.Duration) error {
	l := &r.live
	l.draining.Store(true)
	inTime := context.AfterFunc(ctx, l.cut) // a client that does not read would hold up what follows
	polls, sockets := l.list()
	var letting sync.WaitGroup
	steps := max(len(polls), len(sockets))
	for i := range steps {
		if i < len(polls) {
			letting.Go(func() { r.release(ctx, polls[i]) })
		}
		if i < len(sockets) {
			letting.Go(func() { r.sendAway(ctx, sockets[i]) })
		}
		select {
		case <-time.After(window / time.Duration(steps)):
		case <-ctx.Done():
		}
	}
	letting.Wait()
	l.wait()
	if !inTime() {
		return ctx.Err()
	}
	return nil
}

// letGoAgain is how long LetGo waits before it asks again.
const letGoAgain = 20 * time.Millisecond

// LetGo has the owners end all polls that wait here, until ctx ends: for a node that has drained and closes its listener.
// The owner knows nothing of a poll that is on its way to it, so one request for each is not enough.
func (r *Relay) LetGo(ctx context.Context) {
	for ctx.Err() == nil {
		polls, _ := r.live.list()
		var letting sync.WaitGroup
		for _, p := range polls {
			letting.Go(func() { r.release(ctx, p) })
		}
		letting.Wait()
		select {
		case <-time.After(letGoAgain):
		case <-ctx.Done():
		}
	}
}

// list returns all that passes through, in random order.
func (l *live) list() (polls []*poll, sockets []*shuttle) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.polls {
		polls = append(polls, p)
	}
	for s := range l.sockets {
		sockets = append(sockets, s)
	}
	return polls, sockets
}

// cut ends all WebSockets that pass through.
func (l *live) cut() {
	_, sockets := l.list()
	for _, s := range sockets {
		s.cut()
	}
}

// wait returns when no WebSocket passes through any more.
func (l *live) wait() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.sockets) > 0 {
		ended := make(chan struct{}, 1)
		l.ended = ended
		l.mu.Unlock()
		<-ended
		l.mu.Lock()
	}
}

// release asks a poll's owner to end it.
func (r *Relay) release(ctx context.Context, p *poll) {
	if err := r.order(ctx, p.owner, releasePath, p.sid); err != nil {
		r.log.Debug("a poll could not be released", zapPeer(p.owner.Host), zapError(err))
	}
}

// sendAway asks a WebSocket's owner to end its session so that the client comes back. One whose owner does not answer is cut.
func (r *Relay) sendAway(ctx context.Context, s *shuttle) {
	if err := r.order(ctx, s.peer, awayPath, s.sid); err != nil {
		r.log.Debug("a WebSocket's client could not be sent away", zapPeer(s.peer.Host), zapError(err))
		s.cut()
	}
}

// order has an owner do what path says with a session.
func (r *Relay) order(ctx context.Context, owner *url.URL, path, sid string) error {
	peers := Peers{Secret: r.config.Secret, Client: &http.Client{Transport: r.transport.http2}}
	return peers.ask(ctx, http.MethodPost, owner.String(), path, url.Values{"sid": {sid}}, nil)
}
