package socketio

import (
	"errors"

	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/internal/sio/hub"
)

// Errors of the calls of this package.
var (
	// ErrDisconnected: the socket has left its namespace, or its connection is gone.
	ErrDisconnected = conn.ErrDisconnected
	// ErrAcknowledged: the event has been acknowledged before.
	ErrAcknowledged = conn.ErrAcknowledged
	// ErrParser: the parser of the client cannot carry what was to be sent.
	ErrParser = conn.ErrParser
	// ErrTooManyRooms: the socket would be in more rooms than Limits.Rooms.
	ErrTooManyRooms = hub.ErrTooManyRooms
	// ErrReservedEvent: the name is one clients and servers use for themselves, such as "connect" or "disconnect".
	ErrReservedEvent = errors.New("socketio: reserved event name")
	// ErrClose, returned by a middleware or Logic.Enter, closes the connection without an answer.
	ErrClose = conn.ErrClose
)

// ConnectError is a refusal that reaches the client as {"message":…,"data":…}. Clients take it as final.
type ConnectError = conn.ConnectError

// MissingError names the nodes whose answers are missing from a result that holds those of all others.
type MissingError = hub.MissingError

// Reason says why a socket left its namespace: one of these, or what was given to DisconnectWith.
type Reason = conn.Reason

// The reasons. All but the first two end the connection.
const (
	ClientDisconnect = conn.ClientDisconnect // the client left the namespace
	ServerDisconnect = conn.ServerDisconnect // Disconnect, CloseConnection, DisconnectSockets
	TransportClose   = conn.TransportClose   // the client closed the connection, or its page went
	TransportError   = conn.TransportError   // the connection broke, or the client broke the transport's rules
	PingTimeout      = conn.PingTimeout      // the client did not answer a ping in time
	ParseError       = conn.ParseError       // an Engine.IO packet that cannot be read
	ForcedClose      = conn.ForcedClose      // the client broke the Socket.IO protocol, or a handler panicked
	ShuttingDown     = conn.ShuttingDown     // Close, Shutdown
	SlowConsumer     = conn.SlowConsumer     // the client did not take what was queued for it
	Limit            = conn.Limit            // a limit of the server's
)
