package policy

import (
	"context"

	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// socket is what a rule needs of the client it runs for. Sockets of the server implement it through serverSocket.
type socket interface {
	ID() string
	Nsp() string
	Handshake() engine.Handshake
	Auth() packet.Args
	// Rooms and In tell the membership as it is.
	Rooms(dst []string) []string
	In(room string) bool

	// Context ends with the socket, Closed with its connection; nil: never.
	Context() context.Context
	Closed() <-chan struct{}

	Join(rooms ...string) error
	// JoinThen, Stored and Send call done exactly once, perhaps before they return. Send takes nil, too.
	JoinThen(done func(error), rooms ...string)
	Leave(rooms ...string)
	Stored(done func(error))
	Send(m *message, done func(error)) error
	// Recipients is how many sockets on this node Send would reach; unknown for a client on paper.
	Recipients(m *message) int
	EmitArgs(args packet.Args, volatile bool)
	Disconnect()
	DisconnectWith(reason conn.Reason)
	CloseConnection()
	// SendAway closes the connection so that its client comes back.
	SendAway()
}

// message is an event for other sockets.
type message struct {
	to            []string // empty: everyone in the namespace
	except        []string
	excludeSender bool
	volatile      bool
	args          packet.Args // event name first
}

// serverSocket is a socket of a server.
type serverSocket struct{ *socketio.Socket }

func (s serverSocket) Nsp() string { return s.Namespace().Name() }

func (s serverSocket) Closed() <-chan struct{} { return s.Session().Done() }
func (s serverSocket) SendAway()               { s.Session().SendAway(engine.ForcedClose) }

// Send emits m. If it returns an error, done may have been called with it as well.
func (s serverSocket) Send(m *message, done func(error)) error {
	e := s.emitter(m)
	if m.volatile {
		e = e.Volatile()
	}
	if done != nil {
		e = e.Published(done)
	}
	return e.EmitArgs(m.args)
}

// Recipients counts the sockets on this node.
func (s serverSocket) Recipients(m *message) int { return len(s.emitter(m).LocalSockets()) }

func (s serverSocket) emitter(m *message) socketio.Emitter {
	var e socketio.Emitter
	if m.excludeSender {
		e = s.Socket.Except(m.except...)
	} else {
		e = s.Namespace().Except(m.except...)
	}
	if len(m.to) > 0 {
		e = e.To(m.to...)
	}
	return e
}
