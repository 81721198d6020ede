package policy

import (
	"context"

	"github.com/carillon-io/carillon/internal/sio/conn"
)

var _ conn.Recoverer = (*logic)(nil)

// Away lets the token of a socket expire whose connection broke: its client brings another one when it comes back.
func (l *logic) Away() { l.unwatchExpiry() }

// Resume decides whether a client may take the place of the socket that it had before its connection broke: its subject must
// be the same. So the backend that Enter would ask is asked now. For backends that is the same socket, whose entries go on
// being counted. Connect is asked as for a new socket, but does nothing besides the joins.
func (l *logic) Resume(ctx context.Context, previous conn.Logic) (bool, error) {
	p, ok := previous.(*logic)
	n := l.current()
	if !ok || n == nil {
		return false, nil // Enter refuses a namespace that is not there
	}
	if err := l.authenticate(ctx, n); err != nil {
		return false, err
	}
	if err := l.askBackend(ctx, n); err != nil {
		return false, err
	}
	if l.client.subject() != p.client.subject() {
		return false, nil
	}
	if p.client.up != nil {
		switch same, err := p.client.up.Resume(ctx, l.client.socket); {
		case err != nil:
			return false, conn.ErrClose // the socket waits for the client's next attempt
		case !same:
			return false, nil
		}
	}
	l.resumed = true
	l.client.setUp(p.client.up)
	return true, nil
}

// subject is whom a client stands for. Empty texts stand for none.
type subject struct {
	proven  bool   // it has brought a token
	token   string // of it
	backend string // by the claims of a backend that was asked
}

func (c *client) subject() subject {
	if c.moved != nil {
		return c.moved.subject()
	}
	s := subject{backend: c.given.subject()}
	if c.proof != nil {
		s.proven, s.token = true, c.proof.token.Load().Subject
	}
	return s
}

// Fresh reports whether clients that come back to a namespace always get a new socket: the configuration says recovery:
// false, or does not know the namespace.
func (p *Policy) Fresh(namespace string) bool {
	n := p.current.Load().find(namespace)
	return n == nil || n.fresh
}
