package policy

import (
	"context"

	"github.com/carillon-io/carillon/internal/expression"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// socket is what a rule needs of the client it runs for. Sockets of the server implement it through serverSocket.
type socket interface {
	expression.Subject

	// Context ends with the socket.
	Context() context.Context

	Join(rooms ...string) error
	// JoinThen and Send call done, which Send takes as nil too, once and perhaps before they return.
	JoinThen(done func(error), rooms ...string)
	Leave(rooms ...string)
	Send(m *message, done func(error)) error
	EmitArgs(args packet.Args, volatile bool)
	Disconnect()
	DisconnectWith(reason conn.Reason)
	CloseConnection()
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
type serverSocket struct {
	*socketio.Socket
	member *member
}

func (s serverSocket) Nsp() string { return s.Namespace().Name() }

// Send emits m. An error returned is one that done, if given, may have been told as well.
func (s serverSocket) Send(m *message, done func(error)) error {
	var e socketio.Emitter
	if m.excludeSender {
		e = s.Socket.Except(m.except...)
	} else {
		e = s.Namespace().Except(m.except...)
	}
	if len(m.to) > 0 {
		e = e.To(m.to...)
	}
	if m.volatile {
		e = e.Volatile()
	}
	if done != nil {
		e = e.Published(done)
	}
	return e.EmitArgs(m.args)
}
