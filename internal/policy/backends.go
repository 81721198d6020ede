package policy

import (
	"context"
	"errors"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Backends is where rules forward events to.
type Backends interface {
	// Lifecycle reports whether a backend wants to know of sockets that connect and leave.
	Lifecycle() bool
	// Open begins a socket's way to the backends. It does not block.
	Open(c BackendClient) Upstream
	// Take goes on with a socket that another node has offered. c.Connection is nil: Resume brings one. c.User is of no account. It
	// does not block. An error says that no node has made such an offer.
	Take(c BackendClient, offer []byte) (Upstream, error)
}

// BackendClient is what backends learn of a socket.
type BackendClient struct {
	ID, Namespace, Address string
	User                   string // the subject of its token; empty: none
	Auth                   []byte // what came with CONNECT, a JSON object without the token
	Claims                 []byte // of its token, a JSON object; nil: none
	Connection             BackendConnection
}

// BackendConnection is the connection that a socket has at present. Its methods do not block.
type BackendConnection interface {
	Context() context.Context // ends with the socket on this connection
	Closed() <-chan struct{}  // closed with the connection
	SendAway()                // closes the connection so that the client comes back
}

// Upstream is one socket's way to the backends. Its methods are called one at a time, but for Leave, which may be called while Offer
// waits.
type Upstream interface {
	// Forward hands over an event. It blocks while the client has more waiting than it may: nothing more of the client is
	// read meanwhile. It ends with the event's deadline and with the connection. After an error none of f's functions is
	// called.
	Forward(f *Forward) error
	// Resume goes on with another connection of the same socket. It returns false where the socket was ended for the
	// backends meanwhile, or is another node's: its client needs a fresh one. An error says that this is not known yet.
	Resume(ctx context.Context, c BackendConnection) (bool, error)
	// Offer describes the socket, whose connection has ended, for Take on another node, as JSON. It waits until nothing that
	// the client sent is under way. After an error nothing has changed; else Moved, Resume, Leave or another Offer follow.
	Offer(ctx context.Context) ([]byte, error)
	// Taken waits until it is known whether a socket that Take began is this node's: false as for Resume, and then it is over. It
	// may be called again after an error.
	Taken(ctx context.Context) (bool, error)
	// Moved is called instead of Leave, when the socket is another node's.
	Moved()
	// Leave is called once, when the socket has gone.
	Leave(reason string)
}

// Forward is one event for a backend.
type Forward struct {
	Route string
	Event string
	Args  packet.Args
	// Stored is called once, on any goroutine, with the id of the entry or with why it is not known to be stored.
	Stored func(id string, err error)
	// Answered is nil where no answer is wanted; else it is called once, unless Stored has an error: with the backend's
	// answer or ErrTimeout.
	Answered func(args packet.Args, err error)
}

// What a Backends reports. Any other error says that an event is not known to be stored.
var (
	ErrBacklog  = errors.New("policy: too much is waiting for backends")
	ErrTimeout  = errors.New("policy: no backend answered in time")
	ErrTooLarge = errors.New("policy: the event does not fit a backend's entry")
)

var errNoBackends = errors.New("policy: there are no backends")

// answering says what acknowledges an event that a rule forwards.
type answering uint8

const (
	answerRule     answering = iota // the rule's arguments
	answerAccepted                  // the id of the stored entry
	answerBackend                   // what the backend answers
)

// forward is a forward operation: the event as it came in, for a route.
type forward struct {
	route  string
	event  string
	args   packet.Args
	answer answering
}

// openUpstream begins the socket's way to the backends, unless that has happened.
func (c *client) openUpstream(backends Backends) {
	if c.up != nil || backends == nil {
		return
	}
	info := c.described()
	info.Connection = c.socket
	if c.proof != nil {
		info.User = c.proof.token.Load().Subject
	}
	if sub := c.given.subject(); sub != "" {
		info.User = sub
	}
	c.setUp(backends.Open(info))
}

// described is what backends learn of the socket itself.
func (c *client) described() BackendClient {
	return BackendClient{
		ID: c.ID(), Namespace: c.Nsp(), Address: c.Handshake().Address, Auth: auth.WithoutToken(c.Auth().JSON), Claims: c.Claims(),
	}
}

// forward does a forward operation. reply is given what the event is to be acknowledged with, where that is not for the
// rule to say, before done is called.
func (c *client) forward(o *forward, reply func(packet.Args), done func(error)) error {
	if c.up == nil {
		return errNoBackends
	}
	f := &Forward{Route: o.route, Event: o.event, Args: o.args}
	switch o.answer {
	case answerBackend:
		f.Stored = func(_ string, err error) {
			if err != nil {
				done(err)
			}
		}
		f.Answered = func(args packet.Args, err error) {
			if err == nil {
				reply(args)
			}
			done(err)
		}
	case answerAccepted:
		f.Stored = func(id string, err error) {
			if err == nil {
				reply(acceptedAs(id))
			}
			done(err)
		}
	default:
		f.Stored = func(_ string, err error) { done(err) }
	}
	return c.up.Forward(f)
}

// acceptedAs is the acknowledgement of ack: accepted.
func acceptedAs(id string) packet.Args {
	text := append([]byte(nil), `[{"ok":true,"id":`...)
	text = packet.AppendString(text, id)
	return packet.Args{JSON: append(text, `}]`...)}
}

// answeringOf is what a rule's ack says about forwarded events.
func answeringOf(written config.Value) answering {
	if written.Kind != config.String {
		return answerRule
	}
	switch written.Text {
	case config.AckAccepted:
		return answerAccepted
	case config.AckBackend:
		return answerBackend
	}
	return answerRule
}

// paperUpstream takes what clients on paper forward: it is stored at once, and no backend answers.
type paperUpstream struct{}

func (paperUpstream) Forward(f *Forward) error {
	f.Stored("0-1", nil)
	if f.Answered != nil {
		f.Answered(packet.Args{}, nil)
	}
	return nil
}

func (paperUpstream) Resume(context.Context, BackendConnection) (bool, error) { return true, nil }
func (paperUpstream) Offer(context.Context) ([]byte, error)                   { return nil, errNoBackends }
func (paperUpstream) Taken(context.Context) (bool, error)                     { return true, nil }
func (paperUpstream) Moved()                                                  {}
func (paperUpstream) Leave(string)                                            {}

type paperBackends struct{}

func (paperBackends) Lifecycle() bool                              { return false }
func (paperBackends) Open(BackendClient) Upstream                  { return paperUpstream{} }
func (paperBackends) Take(BackendClient, []byte) (Upstream, error) { return nil, errNoBackends }
