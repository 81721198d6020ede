package conn

import (
	"context"
	"errors"
)

// Logic decides what one socket may do and what its events do. The calls for all sockets of one connection are made one
// at a time, in the order in which the client caused them.
type Logic interface {
	// Enter decides whether the socket connects to its namespace. nil lets it in; a *ConnectError refuses it and goes to the
	// client as it is, any other error as its text; ErrClose closes the connection without an answer, which clients try
	// again. Enter may block; ctx ends with the socket. It may emit, join rooms and keep what it finds out.
	Enter(ctx context.Context) error
	// Entered is called right after the CONNECT answer was queued. It may block.
	Entered()
	// Handle handles one event. It must not block: it runs on the goroutine that reads from the connection unless
	// something of the connection waits in its mailbox, and nothing is read from the client meanwhile.
	Handle(e Event)
	// Leave is called once after Entered, when the socket has gone. Its rooms still stand. Leave may block.
	Leave(reason string)
}

// ConnectError is a refusal that reaches the client as {"message":…,"data":…}. Clients take it as final.
type ConnectError struct {
	Message string
	Data    any // anything that can be written as JSON; nil: no data member
}

// Error is the message.
func (e *ConnectError) Error() string { return e.Message }

// What the calls of a socket may answer.
var (
	// ErrClose, returned by Enter or a middleware, closes the connection without an answer.
	ErrClose = errors.New("socketio: close the connection")
	// ErrDisconnected: the socket has left its namespace, or its connection is gone.
	ErrDisconnected = errors.New("socketio: socket is disconnected")
	// ErrAcknowledged: the event has been acknowledged before.
	ErrAcknowledged = errors.New("socketio: event is acknowledged already")
)
