package conn

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/carillon-io/carillon/internal/sio/wire"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Socket is one client in one namespace, from its CONNECT on. All methods are safe for concurrent use.
type Socket struct {
	// What each message for the client needs comes first, and together.

	conn *Conn                // static after construction; nil: InitGone made the socket
	gate atomic.Pointer[Gate] // nil: everything is sent at once
	life life
	form wire.Form // how the client reads packets; static once Enter has returned

	// Accessed only by the goroutine that currently runs this connection's handlers: its worker, or the reader when
	// handling inline.
	entered bool // Entered was called
	inline  bool // Handle does not block

	// Static after construction.
	namespace string // as the client spelled it; each event from the client is looked up by it
	owner     Owner
	id        string // static once Enter has returned
	auth      []byte // static once Enter has returned

	departure *departure // static once the socket has gone

	mu sync.Mutex
	// mu guards the following.
	done    chan struct{}                 // closed when the socket goes; nil until a context's Done is called
	waiting map[uint64]chan<- packet.Args // acknowledgements waited for; buffered, closed when the socket goes
}

// departure is how a socket went.
type departure struct {
	reason Reason
	cause  error // nil: there is no more to say
	joined bool  // until then; written before the Leave is queued

	gone sync.Once // calls Owner.Gone
}

// Init gives the socket its owner. NewSocket calls it.
func (s *Socket) Init(owner Owner) { s.owner = owner }

// InitGone makes the socket one whose connection broke, on another node. It was connected there.
func (s *Socket) InitGone(owner Owner, id, namespace string, auth []byte) {
	s.owner, s.id, s.namespace, s.auth = owner, id, namespace, auth
	s.entered, s.departure = true, &departure{reason: TransportClose}
	s.life.at.Store(uint32(left))
}

func (c *Conn) newSocket(nsp string, auth []byte) *Socket {
	s := c.set.config.NewSocket()
	s.namespace, s.conn, s.auth, s.form = nsp, c, auth, c.form()
	switch {
	case c.session.Revision() != 3:
		s.id = c.set.config.Tag() + randomID(randomBytes)
	case nsp == "/":
		s.id = c.session.ID()
	default:
		s.id = nsp + "#" + c.session.ID() // 2.x clients work it out themselves
	}
	return s
}

// ID is the socket's id.
func (s *Socket) ID() string { return s.id }

// Namespace is the namespace's name, as the client spelled it.
func (s *Socket) Namespace() string { return s.namespace }

// Auth is what the client sent with CONNECT; nil when it sent none.
func (s *Socket) Auth() []byte { return s.auth }

// Session is the connection's session; nil for a socket without one.
func (s *Socket) Session() *engine.Session {
	if s.conn == nil {
		return nil
	}
	return s.conn.session
}

// Shared are the values of the connection.
func (s *Socket) Shared() *Values { return &s.conn.values }

// Entered reports whether the owner's Entered was called. Only the owner's own calls may ask.
func (s *Socket) Entered() bool { return s.entered }

// Connected reports whether the client has been told that it is connected, and the socket has not gone.
func (s *Socket) Connected() bool { return s.life.stage() == joined }

// Gone reports whether the socket has gone.
func (s *Socket) Gone() bool { return s.life.gone() }

// Cause says more about the end of the socket than its reason; nil when there is no more to say, or no end.
func (s *Socket) Cause() error {
	if !s.life.gone() {
		return nil
	}
	return s.departure.cause
}

// Send queues a message for the client, also while the socket is being connected. It fails with ErrDisconnected,
// ErrParser, or ErrBehind for a volatile message.
func (s *Socket) Send(volatile bool, m *wire.Message) error {
	switch {
	case s.conn == nil:
		return ErrDisconnected
	case !s.life.gone() && s.queue(volatile, m):
		return nil
	case len(m.Frames(s.form, s.conn.set.cannotEncode)) == 0:
		return ErrParser
	case volatile && !s.life.gone():
		return ErrBehind
	}
	return ErrDisconnected
}

// Deliver queues a broadcast if the socket is connected. It reports whether the client has been sent it, and may answer where
// an answer is wanted.
func (s *Socket) Deliver(volatile bool, m *wire.Message) bool {
	if s.life.stage() == answering {
		s.conn.mu.Lock()   // until the answer is queued
		s.conn.mu.Unlock() //nolint:staticcheck // an empty section: only the waiting is wanted
	}
	return s.life.stage() == joined && s.queue(volatile, m) && s.answers(m)
}

// answers reports whether a message that wants an acknowledgement can be given one. A client that cannot is sent the message
// and does not count among those that are waited for.
func (s *Socket) answers(m *wire.Message) bool { return !m.HasID || s.form.Acknowledges() }

// SendAck acknowledges an event of the client's.
func (s *Socket) SendAck(id uint64, args packet.Args) error {
	return s.Send(false, &wire.Message{Packet: packet.Packet{
		Type: packet.Ack, Namespace: s.namespace, ID: id, HasID: true, Data: args.JSON, Attachments: args.Attachments,
	}})
}

// Disconnect takes the socket out of the namespace, with a DISCONNECT to its client. It reports false when the socket has
// gone before.
func (s *Socket) Disconnect(reason Reason) bool {
	return s.conn != nil && s.conn.end(s, end, &departure{reason: reason})
}

// CloseConnection disconnects every namespace of the connection, then closes it.
func (s *Socket) CloseConnection() {
	if s.conn != nil {
		s.conn.disconnectAll()
	}
}

// sendDisconnect queues a DISCONNECT. A client of a door has no other namespace: its connection closes.
func (s *Socket) sendDisconnect(reason Reason) {
	if s.conn.door != nil {
		s.conn.partAs(dismissal(reason))
		return
	}
	s.queuePacket(packet.Packet{Type: packet.Disconnect, Namespace: s.namespace})
}

func (s *Socket) queuePacket(p packet.Packet) { s.write(false, &wire.Message{Packet: p}) }

// queue hands a message to the session, or to what holds messages back.
func (s *Socket) queue(volatile bool, m *wire.Message) bool {
	if gate := s.gate.Load(); gate != nil {
		behind := *m // what an interface is given lives on the heap, and most messages meet no gate
		if queued, taken := (*gate).Put(volatile, &behind); taken {
			return queued
		}
	}
	return s.write(volatile, m)
}

// write hands a message to the session.
func (s *Socket) write(volatile bool, m *wire.Message) bool {
	frames := m.Frames(s.form, s.conn.set.cannotEncode)
	if s.conn.door.streams() {
		frames = s.conn.door.numbered(m, frames)
	}
	return len(frames) > 0 && s.conn.session.Send(volatile, frames...)
}

// Panicked counts a panic of a handler of the socket's, and closes the connection. recovered is what recover returned.
func (s *Socket) Panicked(recovered any) {
	cause := s.conn.set.tally.Panicked(recovered)
	s.conn.close(end, fmt.Errorf("socketio: panic in a handler: %v", cause))
}

// Context ends when the socket goes, and has the values of the connection's first request.
func (s *Socket) Context() context.Context { return (*socketContext)(s) }
