package policy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

var _ conn.Mover = (*logic)(nil)

// packed is a socket on its way to another node: whose it is, what the rules about its disconnect may ask, and its way to the
// backends. Its token is not among it, nor are its token buckets: the client brings another token, over another connection.
type packed struct {
	Proven  bool   `json:"proven,omitempty"`  // it has brought a token
	Token   string `json:"token,omitempty"`   // subject of that
	Backend string `json:"backend,omitempty"` // subject that an asked backend has given it

	Address string         `json:"address"`
	Secure  bool           `json:"secure,omitempty"`
	URL     string         `json:"url"`
	Headers http.Header    `json:"headers,omitempty"`
	Auth    jsontext.Value `json:"auth,omitempty"`
	Claims  jsontext.Value `json:"claims,omitempty"`

	Upstream jsontext.Value `json:"upstream,omitempty"` // an Upstream's offer; nil: it has none
}

// maxPacked is how large a packed socket may be, in bytes. A handshake is 20 KiB at most; what a client sends with CONNECT
// may be larger, and then its socket stays.
const maxPacked = 64 << 10

var errPacked = errors.New("policy: a socket that is too large to move")

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
	state, err := json.Marshal(p)
	if err == nil && len(state) > maxPacked {
		err = errPacked
	}
	return state, err
}

func (c *client) pack() *packed {
	s, h := c.subject(), c.Handshake()
	return &packed{
		Proven: s.proven, Token: s.token, Backend: s.backend,
		Address: h.Address, Secure: h.Secure, URL: h.URL, Headers: h.Headers, Auth: c.Auth().JSON, Claims: c.Claims(),
	}
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
	c.moved, c.socket = p, &movedSocket{c.socket, p}
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
	c.up = up
	return nil
}

// movedSocket is a socket from another node, which has no connection here.
type movedSocket struct {
	socket

	from *packed
}

// Handshake is that of its connection to the other node.
func (m *movedSocket) Handshake() engine.Handshake {
	h := engine.Handshake{Address: m.from.Address, Secure: m.from.Secure, URL: m.from.URL, Headers: m.from.Headers}
	if u, err := url.Parse(h.URL); err == nil {
		h.Query = u.Query()
	}
	return h
}

func (m *movedSocket) Auth() packet.Args        { return packet.Args{JSON: m.from.Auth} }
func (m *movedSocket) Context() context.Context { return ended }
func (m *movedSocket) Closed() <-chan struct{}  { return ended.Done() }

// The following have no connection to act on.

func (m *movedSocket) EmitArgs(packet.Args, bool) {}
func (m *movedSocket) Disconnect()                {}
func (m *movedSocket) DisconnectWith(conn.Reason) {}
func (m *movedSocket) CloseConnection()           {}
func (m *movedSocket) SendAway()                  {}

// ended has ended.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()
