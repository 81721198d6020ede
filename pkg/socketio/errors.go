package socketio

import (
	"errors"

	"github.com/carillon-io/carillon/internal/sio/conn"
)

// What the calls of this package may answer.
var (
	// ErrDisconnected: the socket has left its namespace, or its connection is gone.
	ErrDisconnected = conn.ErrDisconnected
	// ErrAcknowledged: the event has been acknowledged before.
	ErrAcknowledged = conn.ErrAcknowledged
	// ErrTooManyRooms: the socket would be in more rooms than Limits.Rooms.
	ErrTooManyRooms = errors.New("socketio: too many rooms")
	// ErrReservedEvent: the name is one clients and servers use for themselves, such as "connect" or "disconnect".
	ErrReservedEvent = errors.New("socketio: reserved event name")
	// ErrClose, returned by a middleware, closes the connection without an answer.
	ErrClose = conn.ErrClose
)

// errLimit is a refusal that passes by itself: it closes the connection, so that the client tries again.
var errLimit = errors.New("socketio: limit reached")

// ConnectError is a refusal that reaches the client as {"message":…,"data":…}. Clients take it as final.
type ConnectError = conn.ConnectError

// errInvalidNamespace is what a client hears of a namespace that does not exist.
var errInvalidNamespace = &ConnectError{Message: "Invalid namespace"}

// What a client has done whose connection is closed for it, besides what the decoder finds.
var (
	errPacketType  = errors.New("socketio: packet type is the server's")
	errJoined      = errors.New("socketio: namespace is joined already")
	errNotJoined   = errors.New("socketio: namespace is not joined")
	errAttachments = errors.New("socketio: attachments do not come")
)

// Reasons for which a socket leaves its namespace while the connection stands. Those of a connection that ends are the
// engine's CloseReasons.
const (
	reasonClient = "client namespace disconnect"
	reasonServer = "server namespace disconnect"
)
