package policy

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Tokens is how the tokens of sockets are found and verified. The zero value ignores tokens.
type Tokens struct {
	Verifier *auth.Verifier // nil: tokens are not looked at
	Places   auth.Places
	// KeepExpired lets sockets stay whose token has expired.
	KeepExpired bool
}

func (t *Tokens) looks() bool { return t.Verifier != nil && t.Verifier.Looks() }

// refreshEvent renews a socket's token: its argument is the new one.
const refreshEvent = gatewayPrefix + "refresh"

// reasonExpired is why a socket leaves whose token has expired.
const reasonExpired = "token expired"

// How often a socket may renew its token: checking one costs a signature.
const (
	refreshRate  = rate.Limit(1)
	refreshBurst = 5
)

// proof is the token that a socket has brought.
type proof struct {
	token    atomic.Pointer[auth.Token]
	deadline auth.Deadline

	// Owned by the calls of the logic.
	refreshes *rate.Limiter // nil until the first
}

// authenticate finds the socket's token and has it judged. A socket whose token cannot be judged now is sent away in a
// way that makes its client come back.
func (l *logic) authenticate(ctx context.Context, n *namespace) error {
	if l.client.proof != nil {
		return nil // a Tester gave it
	}
	if !l.policy.tokens.looks() {
		if n.requireToken { // only while a reload puts keys and rules in force, one after the other
			return l.turnAway(n, auth.ErrUnavailable)
		}
		return nil
	}
	token := l.policy.tokens.Places.Find(&auth.Request{
		Auth: l.client.Auth().JSON,
		Handshake: func() (http.Header, url.Values) {
			h := l.client.Handshake()
			return h.Headers, h.Query
		},
	})
	if token == "" {
		if n.requireToken {
			return l.turnAway(n, auth.ErrMissing)
		}
		return nil
	}
	type verdict struct {
		token *auth.Token
		err   error
	}
	judged := make(chan verdict, 1)
	l.policy.tokens.Verifier.Verify(token, func(t *auth.Token, err error) { judged <- verdict{t, err} })
	select {
	case v := <-judged:
		if v.err != nil {
			return l.turnAway(n, v.err)
		}
		l.client.proof = new(proof)
		l.client.proof.deadline.Due = l.expired
		l.client.proof.token.Store(v.token)
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// turnAway counts the refusal of a token and says what Enter returns for it.
func (l *logic) turnAway(n *namespace, err error) error {
	refused := refusalOfToken(err)
	l.report(n.connect.tally, l.record("", packet.Args{}), refused)
	if refused.code == Unavailable {
		return conn.ErrClose
	}
	return refused.connectError()
}

func refusalOfToken(err error) *refusal {
	var verdict *auth.Error
	if errors.As(err, &verdict) {
		return &refusal{Code(verdict.Code), verdict.Message(), verdict}
	}
	return &refusal{Unavailable, "the token cannot be checked now", err}
}

// watchExpiry has the socket leave when its token expires.
func (l *logic) watchExpiry() {
	if l.client.proof != nil && !l.policy.tokens.KeepExpired {
		l.policy.deadlines.Set(&l.client.proof.deadline, l.client.proof.token.Load().Expires)
	}
}

// unwatchExpiry ends what watchExpiry began.
func (l *logic) unwatchExpiry() {
	if l.client.proof != nil {
		l.policy.deadlines.End(&l.client.proof.deadline)
	}
}

// expired disconnects the socket, unless its token was renewed in the meantime.
func (l *logic) expired() {
	if t := l.client.proof.token.Load(); !t.Expires.IsZero() && !t.Expires.After(time.Now()) {
		l.client.DisconnectWith(reasonExpired)
	}
}

// renew puts a new token in the place of the socket's. It must be of the same subject: the rooms, which the socket
// keeps, were given to that one.
func (l *logic) renew(n *namespace, args packet.Args, ack acknowledger) {
	d := l.record(refreshEvent, packet.Args{}) // without the token
	settle := func(r *refusal) { l.settle(n.refresh, d, r, ack, accepted) }
	var token string
	switch first, ok := args.At(0); {
	case l.client.proof == nil:
		settle(denied("there is no token to renew"))
		return
	case !ok || packet.Unmarshal(first, nil, &token) != nil || token == "":
		settle(invalid("the argument must be a token", nil))
		return
	}
	if l.client.proof.refreshes == nil {
		l.client.proof.refreshes = rate.NewLimiter(refreshRate, refreshBurst)
	}
	if !l.client.proof.refreshes.Allow() {
		settle(&refusal{Overloaded, "too many refreshes", nil})
		return
	}
	l.policy.tokens.Verifier.Verify(token, func(t *auth.Token, err error) {
		switch {
		case err != nil:
			settle(refusalOfToken(err))
		case t.Subject != l.client.proof.token.Load().Subject:
			settle(&refusal{Code(auth.Invalid), "the token is not of the same subject", nil})
		default:
			l.client.proof.token.Store(t)
			l.watchExpiry()
			if l.client.changed != nil {
				l.client.changed()
			}
			l.client.socket.Stored(func(error) { settle(nil) }) // the token is in force, also where Redis is away
		}
	})
}
