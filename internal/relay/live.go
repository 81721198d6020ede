package relay

import (
	"context"
	"io"
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
	over    bool          // a drain ran out of time: what comes now is cut at once
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

// Drain lets go of all that passes through this node, evenly over window: waiting polls are ended by their owners with a
// noop, WebSockets get a Close frame with 1001. It returns when all have ended. When ctx ends first, it cuts what is left
// and returns ctx's error.
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
			letting.Go(sockets[i].goAway)
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

// cut ends all WebSockets that pass through, and those that would from now on.
func (l *live) cut() {
	l.mu.Lock()
	l.over = true
	l.mu.Unlock()
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
	secret := r.config.Secret()
	if secret == nil {
		return
	}
	u := url.URL{Scheme: "http", Host: p.owner.Host, Path: releasePath, RawQuery: url.Values{"sid": {p.sid}}.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), nil)
	if err != nil {
		return // a URL made of parsed parts is one
	}
	vouch(req.Header, client{})
	sign(req, secret, time.Now())
	response, err := r.transport.http2.RoundTrip(req)
	if err != nil {
		r.log.Debug("a poll could not be released", zapPeer(p.owner.Host), zapError(err))
		return
	}
	_, _ = io.Copy(io.Discard, response.Body) // empty
	_ = response.Body.Close()
}
