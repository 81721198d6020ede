package policy

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/expression"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// logic is the conn.Logic of one socket.
type logic struct {
	// Static after construction.
	policy *Policy
	shared *conn.Values // of the connection

	// Owned by the calls, which are made one at a time for all sockets of a connection.
	set     *ruleset    // of the last look
	rules   *namespace  // the last that there were; nil: never any
	removed bool        // set has no rules for the namespace
	limits  *connection // nil until first needed
	leaving bool        // a disconnect was decided on: later events are refused
	resumed bool        // it takes the place of a socket that was connected before
	client  client

	// Between Enter and Entered.
	after    []operation // of connect, to be done behind the CONNECT answer
	entering *Decision
}

var _ conn.Logic = (*logic)(nil)

// client is a socket with the token that it has brought.
type client struct {
	socket

	proof *proof   // nil: none
	given *given   // by a backend that was asked; nil: none was
	up    Upstream // nil until first needed; set by setUp
	moved *packed  // what another node has said of it; nil: it began here, or its client has come back

	hasUp    atomic.Bool // up is not nil, for goroutines that do not handle what the client sends
	changed  func()      // called when the claims have changed; nil: nothing is
	withdraw func()      // called when up begins; nil: nothing is
}

func (c *client) setUp(up Upstream) {
	c.up = up
	c.hasUp.Store(up != nil)
	if up != nil && c.withdraw != nil {
		c.withdraw()
	}
}

// Claims is the payload of the token with what a backend has given over it; nil when there is neither.
func (c *client) Claims() []byte {
	if c.moved != nil {
		return c.moved.Claims
	}
	var own []byte
	if c.proof != nil {
		own = c.proof.token.Load().Claims
	}
	if c.given == nil {
		return own
	}
	return c.given.over(own)
}

// current returns the present rules of the socket's namespace; nil when the configuration has none.
func (l *logic) current() *namespace {
	if set := l.policy.current.Load(); set != l.set {
		n := set.find(l.client.Nsp())
		l.set, l.removed = set, n == nil
		if n != nil {
			l.rules = n
		}
	}
	if l.removed {
		return nil
	}
	return l.rules
}

// connection returns the state that all sockets of the connection share.
func (l *logic) connection() *connection {
	if l.limits == nil {
		l.limits = conn.Shared[connection](l.shared)
	}
	return l.limits
}

// acknowledger answers one event.
type acknowledger interface {
	Wanted() bool
	SendArgs(args packet.Args) error
}

// Handle does what the rules say about an event, and acknowledges it if that was asked for.
func (l *logic) Handle(e conn.Event) { l.event(e.Name, e.Args, e.Ack) }

func (l *logic) event(name string, args packet.Args, ack acknowledger) {
	n := l.current()
	if name == refreshEvent && n != nil && !l.leaving && l.policy.tokens.looks() {
		l.renew(n, args, ack)
		return
	}
	d := l.record(name, args)
	var o outcome
	switch {
	case n == nil:
		o = outcome{tally: l.set.removed, refused: denied("the namespace is closed")}
	case l.leaving:
		o = outcome{tally: n.noRule, refused: denied("the socket is being disconnected")}
	case l.set.events != nil && !l.connection().allow(l.set, l.set.events):
		o = outcome{tally: n.noRule, refused: &refusal{code: Overloaded, message: "too many events"}}
	default:
		a := l.activation(l.client.Context())
		a.Event, a.Args = name, args
		o = n.decide(a, l, d)
		a.Release()
	}
	switch {
	case o.refused != nil || len(o.operations) == 0:
		l.settle(o.tally, d, o.refused, ack, o.ack)
	case ack.Wanted() || forwards(o.operations):
		if forwards(o.operations) {
			l.client.openUpstream(l.policy.backends)
		}
		done := runConfirmed(&l.client, o.operations, o.ack, d, func(args packet.Args, err error) {
			l.settle(o.tally, d, refusalOf(err), ack, args)
		})
		l.leaving = disconnectIn(o.operations[:done]) >= 0
	default:
		done, err := run(&l.client, o.operations, d)
		l.leaving = disconnectIn(o.operations[:done]) >= 0
		l.report(o.tally, d, refusalOf(err))
	}
}

// allow takes a token from the bucket of a rule.
func (l *logic) allow(b *bucket) bool { return b == nil || l.connection().allow(l.set, b) }

func (l *logic) activation(ctx context.Context) *expression.Activation {
	a := expression.NewActivation(ctx, &l.client)
	a.MaxDepth = l.policy.maxDepth
	return a
}

// settle reports a decision and answers the event. It is safe for concurrent use.
func (l *logic) settle(t *tally, d *Decision, r *refusal, ack acknowledger, args packet.Args) {
	if !ack.Wanted() {
		l.report(t, d, r)
		return
	}
	if r != nil {
		args = r.ack()
	}
	if d != nil {
		d.Ack, d.Acked = args, true
	}
	l.report(t, d, r)
	_ = ack.SendArgs(args) // a client that has gone needs none
}

// Enter decides whether the socket may connect, and makes it join. It waits until the cluster knows the joins, but not for
// a cluster that is away: a condition that passes by itself is no reason to refuse, which clients take as final.
func (l *logic) Enter(ctx context.Context) error {
	d := l.record("", packet.Args{})
	n := l.current()
	if n == nil {
		l.report(l.set.unknown, d, &refusal{code: Denied, message: invalidNamespace})
		return &conn.ConnectError{Message: invalidNamespace}
	}
	if err := l.authenticate(ctx, n); err != nil {
		return err
	}
	if err := l.askBackend(ctx, n); err != nil {
		return err
	}
	a := l.activation(ctx)
	operations, refused := n.connect.prepare(a, d)
	a.Release()
	if refused != nil {
		l.report(n.connect.tally, d, refused)
		return refused.connectError()
	}
	var confirmed []<-chan error
	if g := l.client.given; g != nil && len(g.rooms) > 0 {
		confirmed = append(confirmed, l.join(g.rooms))
	}
	for i := range operations {
		if operations[i].verb == config.VerbJoin {
			d.did(l.client.socket, &operations[i])
			confirmed = append(confirmed, l.join(operations[i].rooms))
		} else {
			l.after = append(l.after, operations[i])
		}
	}
	for _, c := range confirmed {
		select {
		case err := <-c:
			if errors.Is(err, socketio.ErrTooManyRooms) {
				l.report(n.connect.tally, d, refusalOf(err))
				return conn.ErrClose
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	l.entering = d
	return nil
}

// join joins rooms. The channel receives one value: when the cluster knows, or at once when it cannot be asked.
func (l *logic) join(rooms []string) <-chan error {
	done := make(chan error, 1)
	if l.policy.away() {
		done <- l.client.socket.Join(rooms...)
		return done
	}
	l.client.socket.JoinThen(func(err error) { done <- err }, rooms...)
	return done
}

// Entered does the rest of connect, behind the CONNECT answer.
func (l *logic) Entered() {
	l.watchExpiry() // not before: a client that has no answer yet does not understand a DISCONNECT
	n := l.current()
	if n == nil { // a reload took the namespace away while the socket was on its way in
		l.client.DisconnectWith(conn.ServerDisconnect)
		return
	}
	if b := l.policy.backends; b != nil && b.Lifecycle() {
		l.client.openUpstream(b)
	}
	d := l.entering
	if l.resumed {
		l.after = nil // was done when the client connected first
	}
	_, err := run(&l.client, l.after, d)
	l.after, l.entering = nil, nil
	l.report(n.connect.tally, d, refusalOf(err))
}

// Leave does what the configuration says about a disconnect, while the rooms still stand. In a namespace that a reload took
// away it is what the configuration said before.
func (l *logic) Leave(reason conn.Reason) {
	l.unwatchExpiry()
	l.current()
	if n := l.rules; n != nil && len(n.disconnect.do) > 0 {
		l.leave(n, reason)
	}
	if l.client.up != nil {
		l.client.up.Leave(string(reason))
	}
}

func (l *logic) leave(n *namespace, reason conn.Reason) {
	d := l.record("", packet.Args{})
	a := l.activation(context.Background()) // the socket's has ended
	a.Reason = string(reason)
	operations, refused := n.disconnect.prepare(a, d)
	a.Release()
	if refused == nil {
		_, err := run(&l.client, operations, d)
		refused = refusalOf(err)
	}
	l.report(n.disconnect.tally, d, refused)
}
