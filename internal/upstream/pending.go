package upstream

import (
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
	account    *account
	connection Connection // that the event came over
	answered   func(packet.Args, error)

	// The pending's mu guards the following.
	timer   *time.Timer
	stored  bool
	overdue bool // the deadline has passed, and whether the event is stored is about to be known
}

// newToken is a token under which an answer can be waited for. It tells its deadline, so that a late answer is known as one.
func newToken(deadline time.Time) string {
	return strconv.FormatInt(deadline.UnixMilli(), 36) + "-" + rand.Text()
}

// add waits for an answer until the deadline. pendingHeld has been taken from the socket's account.
func (p *pending) add(token string, s *Socket, c Connection, deadline time.Time, answered func(packet.Args, error)) {
	w := &wait{account: &s.account, connection: c, answered: answered}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waits[token] = w
	w.timer = time.AfterFunc(time.Until(deadline), func() { p.expire(token) })
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

// stored notes that the event is stored: from now on it is a backend that is late.
func (p *pending) stored(token string) {
	p.mu.Lock()
	w := p.waits[token]
	overdue := w != nil && w.overdue
	if w != nil {
		w.stored = true
	}
	p.mu.Unlock()
	if overdue {
		p.expire(token)
	}
}

// expire ends the wait at the deadline. Where the event is not known to be stored, its partition says so.
func (p *pending) expire(token string) {
	p.mu.Lock()
	w := p.waits[token]
	if w == nil || !w.stored {
		if w != nil {
			w.overdue = true
		}
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	if w := p.take(token); w != nil {
		w.answered(packet.Args{}, ErrTimeout)
	}
}

// answer hands over the answer to an event. The first one counts.
func (p *pending) answer(token string, args packet.Args) {
	w := p.take(token)
	switch {
	case w != nil && w.connection.Context().Err() != nil:
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

// late reports whether a token's deadline has passed. The token rounds it down to the millisecond, so in that same millisecond it may
// have passed, and counts as passed.
func late(token string, now time.Time) bool {
	text, _, ok := strings.Cut(token, "-")
	ms, err := strconv.ParseInt(text, 36, 64)
	return ok && err == nil && ms <= now.UnixMilli()
}

// await makes an entry one whose answer is waited for.
func (s *Socket) await(e *entry, f *Event, c Connection) {
	pending := &s.up.pending
	pending.add(e.token, s, c, e.deadline, f.Answered)
	e.stored = func(id string, err error) {
		if err != nil {
			pending.take(e.token)
		} else {
			pending.stored(e.token)
		}
		f.Stored(id, err)
	}
}
