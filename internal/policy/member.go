package policy

import (
	"context"
	"errors"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/expression"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// member is the policy's conn.Logic for one socket: the server makes the calls for the sockets of one connection one at
// a time.
type member struct {
	// Static after construction.
	policy     *Policy
	socket     socket
	connection *connection

	// Owned by the calls.
	set     *ruleset // what rules belongs to
	rules   *namespace
	proof   *proof   // nil: the client brought no token
	leaving bool     // a disconnect was decided on: no further event is looked at
	after   []effect // of connect, to be done behind the CONNECT answer
}

var _ conn.Logic = (*member)(nil)

// connection is the policy's state for one connection, whatever namespaces its client joins and leaves. It belongs to
// the member that is called.
type connection struct {
	set      *ruleset // what the limiters belong to
	limiters map[*namespace]*limiters
}

// limitersOf returns the token buckets of a namespace's rules.
func (c *connection) limitersOf(set *ruleset, n *namespace) *limiters {
	if c.set != set {
		c.set, c.limiters = set, nil
	}
	l := c.limiters[n]
	if l == nil {
		if c.limiters == nil {
			c.limiters = make(map[*namespace]*limiters)
		}
		l = new(limiters)
		c.limiters[n] = l
	}
	return l
}

// current is what the configuration of this moment says of the socket's namespace; nil when it knows it no more.
func (m *member) current() *namespace {
	if set := m.policy.current.Load(); set != m.set {
		m.set, m.rules = set, set.find(m.socket.Nsp())
	}
	return m.rules
}

// acknowledger answers one event.
type acknowledger interface {
	Wanted() bool
	SendArgs(args packet.Args) error
}

// Handle does what the rules say of an event, and acknowledges it if that was asked for.
func (m *member) Handle(e conn.Event) { m.event(e.Name, e.Args, e.Ack) }

func (m *member) event(name string, args packet.Args, ack acknowledger) {
	n := m.current()
	if n == nil {
		answer(ack, denied("the namespace is closed"), packet.Args{}) // and counted nowhere: it has no label any more
		return
	}
	if m.leaving {
		m.settle(n.noRule, name, denied("the socket is being disconnected"), ack, packet.Args{})
		return
	}
	if name == refreshEvent && m.policy.tokens.looks() {
		m.refresh(n, args, ack)
		return
	}
	a := expression.NewActivation(m.socket.Context(), m.socket)
	a.Event, a.Args = name, args
	j, p, refused := n.decide(a, m.connection.limitersOf(m.set, n))
	a.Release()
	switch {
	case refused != nil || len(p.effects) == 0:
		m.settle(j, name, refused, ack, p.ack)
	case ack.Wanted():
		m.confirm(j, name, p, ack)
	default:
		done, err := run(m.socket, p.effects)
		m.leaving = disconnectIn(p.effects[:done]) >= 0
		m.judged(j, name, refusalOf(err))
	}
}

// confirm does what a rule says for somebody who waits for the answer.
func (m *member) confirm(j *judge, name string, p plan, ack acknowledger) {
	done := runConfirmed(m.socket, p.effects, func(err error) { m.settle(j, name, refusalOf(err), ack, p.ack) })
	m.leaving = disconnectIn(p.effects[:done]) >= 0
}

// settle counts what became of an event and answers it. Safe for concurrent use.
func (m *member) settle(j *judge, name string, r *refusal, ack acknowledger, args packet.Args) {
	m.judged(j, name, r)
	answer(ack, r, args)
}

func answer(ack acknowledger, r *refusal, args packet.Args) {
	switch {
	case !ack.Wanted():
	case r != nil:
		_ = ack.SendArgs(r.ack()) // a client that has gone needs none
	default:
		_ = ack.SendArgs(args)
	}
}

// Enter decides whether the socket may connect, and makes it join. It waits until the cluster knows the joins, not
// for a cluster that is away: what passes by itself is no refusal, which clients take as final.
func (m *member) Enter(ctx context.Context) error {
	n := m.current()
	if n == nil {
		return &socketio.ConnectError{Message: "Invalid namespace"}
	}
	if err := m.authenticate(ctx, n); err != nil {
		return err
	}
	a := expression.NewActivation(ctx, m.socket)
	effects, refused := n.connect.prepare(a)
	a.Release()
	if refused != nil {
		m.judged(n.connect.judge, "", refused)
		return refused.connectError()
	}
	var confirmed []<-chan error
	for i := range effects {
		if effects[i].verb == config.VerbJoin {
			confirmed = append(confirmed, m.join(effects[i].rooms))
		} else {
			m.after = append(m.after, effects[i])
		}
	}
	for _, c := range confirmed {
		select {
		case err := <-c:
			if errors.Is(err, socketio.ErrTooManyRooms) {
				m.judged(n.connect.judge, "", refusalOf(err))
				return socketio.ErrClose
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// join joins rooms; the channel tells when the cluster knows, or at once when it cannot be asked. It is never closed.
func (m *member) join(rooms []string) <-chan error {
	done := make(chan error, 1)
	if m.policy.away() {
		done <- m.socket.Join(rooms...)
		return done
	}
	m.socket.JoinThen(func(err error) { done <- err }, rooms...)
	return done
}

// Entered does what is left of connect, behind the CONNECT answer.
func (m *member) Entered() {
	m.watchExpiry() // not before: a client that has no answer yet does not understand a DISCONNECT
	n := m.current()
	if n == nil {
		return // the configuration changed meanwhile
	}
	_, err := run(m.socket, m.after)
	m.judged(n.connect.judge, "", refusalOf(err))
	m.after = nil
}

// Leave does what the configuration says of a disconnect, while the rooms still stand.
func (m *member) Leave(reason conn.Reason) {
	m.unwatchExpiry()
	n := m.current()
	if n == nil || len(n.leaving.do) == 0 {
		return
	}
	a := expression.NewActivation(nil, m.socket) //nolint:staticcheck // it has to run although the client has gone
	a.Reason = string(reason)
	effects, refused := n.leaving.prepare(a)
	a.Release()
	if refused != nil {
		m.judged(n.leaving.judge, "", refused)
		return
	}
	_, err := run(m.socket, effects)
	m.judged(n.leaving.judge, "", refusalOf(err))
}

// prepare evaluates a hook: its condition, then all expressions of its actions.
func (h *hook) prepare(a *expression.Activation) ([]effect, *refusal) {
	holds, err := h.cond.Holds(a)
	if err != nil {
		return nil, invalid("the condition cannot be evaluated", err)
	}
	if !holds {
		return nil, denied("not allowed")
	}
	effects, err := prepareAll(h.do, a)
	if err != nil {
		return nil, invalid("an expression cannot be evaluated", err)
	}
	return effects, nil
}

// judged counts a decision and reports a refusal. Safe for concurrent use.
func (m *member) judged(j *judge, event string, r *refusal) {
	j.count(r)
	if r != nil && m.policy.onRefusal != nil {
		m.policy.onRefusal(Refusal{
			Namespace: m.socket.Nsp(), SID: m.socket.ID(), Event: event,
			Rule: j.label, Code: r.code, Message: r.message, Cause: r.cause,
		})
	}
}
