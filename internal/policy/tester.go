package policy

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Tester decides about clients that exist on paper only: there is no server and no cluster. It is for one goroutine.
type Tester struct {
	policy *Policy
	last   *Decision
}

// NewTester compiles a configuration.
func NewTester(cfg Config, tokens Tokens) (*Tester, error) {
	t := &Tester{}
	var err error
	t.policy, err = New(cfg, Options{Tokens: tokens, Backends: paperBackends{}, OnDecision: func(d *Decision) { t.last = d }})
	return t, err
}

// Client is a client on paper.
type Client struct {
	Namespace string
	ID        string
	Address   string
	Headers   http.Header
	Query     url.Values
	Auth      []byte   // the JSON object that came with CONNECT; nil: none
	Token     string   // is verified first
	Claims    []byte   // those of a verified token, a JSON object; nil: none
	Rooms     []string // it is in, beside its own
}

// Connect decides whether the client may connect.
func (t *Tester) Connect(ctx context.Context, c *Client) *Decision {
	l, refused := t.logic(ctx, c)
	if refused == nil && l.Enter(ctx) == nil {
		l.Entered()
	}
	return t.decision(l, refused, labelConnect)
}

// Event decides about an event that the client sends so many times; the decision is the last one.
func (t *Tester) Event(ctx context.Context, c *Client, name string, args packet.Args, times int) *Decision {
	l, refused := t.logic(ctx, c)
	for range times {
		if refused == nil {
			l.event(name, args, paperAck{})
		}
	}
	d := t.decision(l, refused, labelConnect)
	d.Event, d.Args = name, args
	return d
}

// Disconnect decides what happens when the client leaves.
func (t *Tester) Disconnect(ctx context.Context, c *Client, reason string) *Decision {
	l, refused := t.logic(ctx, c)
	if refused == nil {
		l.Leave(conn.Reason(reason))
	}
	return t.decision(l, refused, labelDisconnect)
}

// logic is what would decide for the client, if its token is valid.
func (t *Tester) logic(ctx context.Context, c *Client) (*logic, *refusal) {
	t.last = nil
	l := &logic{policy: t.policy, client: client{socket: &paper{ctx: ctx, client: c, rooms: slices.Clone(c.Rooms)}}, shared: new(conn.Values)}
	if l.current() == nil {
		return l, denied(invalidNamespace)
	}
	token := &auth.Token{Claims: c.Claims}
	if c.Token != "" {
		var err error
		if token, err = t.verify(ctx, c.Token); err != nil {
			return l, refusalOfToken(err)
		}
	}
	if token.Claims != nil {
		l.client.proof = new(proof)
		l.client.proof.token.Store(token)
	}
	return l, nil
}

func (t *Tester) verify(ctx context.Context, text string) (*auth.Token, error) {
	if !t.policy.tokens.looks() {
		return &auth.Token{}, nil
	}
	type verdict struct {
		token *auth.Token
		err   error
	}
	verified := make(chan verdict, 1)
	t.policy.tokens.Verifier.Verify(text, func(token *auth.Token, err error) { verified <- verdict{token, err} })
	select {
	case v := <-verified:
		return v.token, v.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// decision is what was decided last, or the refusal that came before.
func (t *Tester) decision(l *logic, refused *refusal, rule string) *Decision {
	if refused != nil {
		t.last = &Decision{Rule: rule, Code: refused.code, Message: refused.message, Cause: refused.cause}
	}
	if t.last == nil { // nothing was to be done
		t.last = &Decision{Rule: rule}
	}
	t.last.Namespace, t.last.SID = l.client.Nsp(), l.client.ID()
	return t.last
}

// paperAck wants an acknowledgement, which is in the decision.
type paperAck struct{}

func (paperAck) Wanted() bool               { return true }
func (paperAck) SendArgs(packet.Args) error { return nil }

// paper is the socket of a client on paper: it is in rooms, and what it sends goes nowhere.
type paper struct {
	ctx    context.Context //nolint:containedctx // a socket has one
	client *Client
	rooms  []string
}

func (p *paper) ID() string               { return p.client.ID }
func (p *paper) Nsp() string              { return p.client.Namespace }
func (p *paper) Auth() packet.Args        { return packet.Args{JSON: p.client.Auth} }
func (p *paper) Context() context.Context { return p.ctx }
func (*paper) Closed() <-chan struct{}    { return nil }

func (p *paper) Handshake() engine.Handshake {
	return engine.Handshake{Address: p.client.Address, Headers: p.client.Headers, Query: p.client.Query}
}

func (p *paper) Rooms(dst []string) []string { return append(append(dst, p.client.ID), p.rooms...) }
func (p *paper) In(room string) bool         { return room == p.client.ID || slices.Contains(p.rooms, room) }

func (p *paper) Join(rooms ...string) error {
	p.rooms = append(p.rooms, rooms...)
	return nil
}

func (p *paper) JoinThen(done func(error), rooms ...string) { done(p.Join(rooms...)) }
func (p *paper) Stored(done func(error))                    { done(nil) }

func (p *paper) Leave(rooms ...string) {
	p.rooms = slices.DeleteFunc(p.rooms, func(room string) bool { return slices.Contains(rooms, room) })
}

func (p *paper) Send(_ *message, done func(error)) error {
	if done != nil {
		done(nil)
	}
	return nil
}

func (*paper) Recipients(*message) int    { return unknown }
func (*paper) EmitArgs(packet.Args, bool) {}
func (*paper) Disconnect()                {}
func (*paper) DisconnectWith(conn.Reason) {}
func (*paper) CloseConnection()           {}
func (*paper) SendAway()                  {}
