package policy

import (
	"context"

	"github.com/carillon-io/carillon/internal/sio/conn"
)

var _ conn.Recoverer = (*logic)(nil)

// Away lets the token of a socket expire whose connection broke: its client brings another one when it comes back.
func (l *logic) Away() { l.unwatchExpiry() }

// Resume decides whether a client may take the place of the socket that it had before its connection broke: the subject of
// its token must be the same. For backends that is the same socket, whose entries go on being counted. Connect is asked as for
// a new socket, but does nothing besides the joins.
func (l *logic) Resume(ctx context.Context, previous conn.Logic) (bool, error) {
	p, ok := previous.(*logic)
	n := l.current()
	if !ok || n == nil {
		return false, nil // Enter refuses a namespace that is not there
	}
	if err := l.authenticate(ctx, n); err != nil {
		return false, err
	}
	if l.client.subject() != p.client.subject() {
		return false, nil
	}
	if p.client.up != nil && !p.client.up.Resume(l.client.socket) {
		return false, nil
	}
	l.resumed, l.client.up = true, p.client.up
	return true, nil
}

// subject is whom the client's token is for; empty where it has brought none.
func (c *client) subject() string {
	if c.proof == nil {
		return ""
	}
	return "token " + c.proof.token.Load().Subject
}

// Fresh reports whether clients that come back to a namespace always get a new socket: the configuration says recovery:
// false, or does not know the namespace.
func (p *Policy) Fresh(namespace string) bool {
	n := p.current.Load().find(namespace)
	return n == nil || n.fresh
}
