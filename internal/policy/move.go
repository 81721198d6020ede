package policy

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

var _ conn.Mover = (*logic)(nil)

// packed is what the rules know of a socket on its way to another node: whose it is, its claims, which the rules about its
// disconnect may ask for, and its way to the backends. Its token is not among it, nor are its token buckets: the client brings
// another token, over another connection.
type packed struct {
	Proven  bool   `json:"proven,omitempty"`  // it has brought a token
	Token   string `json:"token,omitempty"`   // subject of that
	Backend string `json:"backend,omitempty"` // subject that an asked backend has given it

	Claims   jsontext.Value `json:"claims,omitempty"`
	Upstream jsontext.Value `json:"upstream,omitempty"` // an Upstream's offer; nil: it has none
}

func (p *packed) subject() subject {
	return subject{proven: p.Proven, token: p.Token, backend: p.Backend}
}

// Pack describes the socket for another node.
func (l *logic) Pack(ctx context.Context) ([]byte, error) {
	p := l.client.pack()
	if up := l.client.up; up != nil {
		offer, err := up.Offer(ctx)
		if err != nil {
			return nil, fmt.Errorf("policy: offer a socket to another node: %w", err)
		}
		p.Upstream = offer
	}
	return json.Marshal(p)
}

func (c *client) pack() *packed {
	s := c.subject()
	return &packed{Proven: s.proven, Token: s.token, Backend: s.backend, Claims: c.Claims()}
}

// Moved forgets the socket, which has become another node's.
func (l *logic) Moved() {
	if l.client.up != nil {
		l.client.up.Moved()
	}
}

// Unpack goes on with a socket that another node has packed.
func (l *logic) Unpack(ctx context.Context, state []byte) error {
	if l.client.moved == nil {
		if err := l.client.unpack(state, l.policy.backends); err != nil {
			return err
		}
	}
	if l.client.up == nil {
		return nil
	}
	switch taken, err := l.client.up.Taken(ctx); {
	case err != nil:
		return err
	case !taken:
		return conn.ErrEnded
	}
	return nil
}

func (c *client) unpack(state []byte, backends Backends) error {
	p := new(packed)
	if err := json.Unmarshal(state, p); err != nil {
		return fmt.Errorf("%w: %w", conn.ErrEnded, err)
	}
	c.moved, c.socket = p, movedSocket{c.socket}
	if p.Upstream == nil {
		return nil
	}
	if backends == nil {
		return fmt.Errorf("%w: %w", conn.ErrEnded, errNoBackends)
	}
	up, err := backends.Take(c.described(), p.Upstream)
	if err != nil {
		return fmt.Errorf("%w: %w", conn.ErrEnded, err)
	}
	c.setUp(up)
	return nil
}

// movedSocket is a socket from another node, whose client has not come back yet: it has no connection.
type movedSocket struct{ socket }

func (movedSocket) Context() context.Context   { return ended }
func (movedSocket) Closed() <-chan struct{}    { return ended.Done() }
func (movedSocket) EmitArgs(packet.Args, bool) {}
func (movedSocket) Disconnect()                {}
func (movedSocket) DisconnectWith(conn.Reason) {}
func (movedSocket) CloseConnection()           {}
func (movedSocket) SendAway()                  {}

// ended has ended.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

var _ conn.Describer = (*logic)(nil)

// Describe describes the socket for a node that goes on with it after this one was killed. It is stored in Redis. A socket with
// a way to backends is not stored: when its node dies, the backends receive a disconnect for it, so it must not come back.
func (l *logic) Describe() ([]byte, bool) {
	if l.client.hasUp.Load() {
		return nil, false
	}
	state, err := json.Marshal(l.client.pack())
	return state, err == nil
}

// Watch has changed called when the socket's claims have, and withdrawn when its way to backends begins.
func (l *logic) Watch(changed, withdrawn func()) {
	l.client.changed, l.client.withdraw = changed, withdrawn
}
