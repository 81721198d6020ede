package upstream

import (
	"context"
	"crypto/rand"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// pendingHeld is what an event that waits for its answer counts for.
const pendingHeld = 512

// pending are the events that wait for a backend's answer.
type pending struct {
	// Static after construction.
	metrics *metrics
	budget  *budget

	mu sync.Mutex
	// mu guards the following.
	waits map[string]*wait // by token
}

// wait is one event that waits.
type wait struct {
	// Static after construction.
	account  *account
	context  context.Context //nolint:containedctx // of its socket
	answered func(packet.Args, error)

	// The pending's mu guards the following.
	timer  *time.Timer
	stored bool
}

// add makes a token, under which the answer is waited for until the deadline.
func (p *pending) add(s *Socket, deadline time.Time, answered func(packet.Args, error)) string {
	w := &wait{account: &s.account, context: s.client.Context, answered: answered}
	token := strconv.FormatInt(deadline.UnixMilli(), 36) + "-" + rand.Text()
	p.budget.add(w.account, pendingHeld)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waits[token] = w
	w.timer = time.AfterFunc(time.Until(deadline), func() { p.expire(token) })
	return token
}

// take ends a wait; nil when there is none.
func (p *pending) take(token string) *wait {
	p.mu.Lock()
	w := p.waits[token]
	delete(p.waits, token)
	if w != nil {
		w.timer.Stop()
	}
	p.mu.Unlock()
	if w != nil {
		p.budget.release(w.account, pendingHeld)
	}
	return w
}

// forget ends the wait for an event that is not stored.
func (p *pending) forget(token string) {
	if token != "" {
		p.take(token)
	}
}

// stored notes that the event is stored: from now on it is a backend that is late.
func (p *pending) stored(token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if w := p.waits[token]; w != nil {
		w.stored = true
	}
}

// expire ends the wait at the deadline. Where the event is not known to be stored, its partition says so.
func (p *pending) expire(token string) {
	w := p.take(token)
	if w != nil && w.stored {
		w.answered(packet.Args{}, ErrTimeout)
	}
}

// answer hands over the answer to an event. The first one counts.
func (p *pending) answer(token string, args packet.Args) {
	w := p.take(token)
	switch {
	case w != nil && w.context.Err() != nil:
		p.metrics.answers.gone.Inc()
	case w != nil:
		p.metrics.answers.delivered.Inc()
		w.answered(args, nil)
	case late(token, time.Now()):
		p.metrics.answers.late.Inc()
	default:
		p.metrics.answers.unknown.Inc()
	}
}

// late reports whether a token's deadline has passed.
func late(token string, now time.Time) bool {
	text, _, ok := strings.Cut(token, "-")
	ms, err := strconv.ParseInt(text, 36, 64)
	return ok && err == nil && ms < now.UnixMilli()
}

// awaited is what is called when an event is stored, and the token under which its answer is awaited; none where nothing
// wants one.
func (s *Socket) awaited(r *route, f *Event, deadline time.Time) (stored func(string, error), token string) {
	if f.Answered == nil {
		return f.Stored, ""
	}
	pending := &s.up.pending
	token = pending.add(s, deadline, f.Answered)
	return func(id string, err error) {
		if err != nil {
			pending.forget(token)
		} else {
			pending.stored(token)
		}
		if f.Stored != nil {
			f.Stored(id, err)
		}
	}, token
}
