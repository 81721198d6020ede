package conn

import "github.com/carillon-io/carillon/pkg/engine"

// Reason says why a socket left its namespace: one of these, or what an application gave to DisconnectWith. They are
// Node's words where Node has one.
type Reason string

// The reasons. Those of a connection that ends are the engine's.
const (
	ClientDisconnect Reason = "client namespace disconnect" // the client left the namespace
	ServerDisconnect Reason = "server namespace disconnect" // the server took the socket out of it
	TransportClose          = Reason(engine.TransportClose)
	TransportError          = Reason(engine.TransportError)
	PingTimeout             = Reason(engine.PingTimeout)
	ParseError              = Reason(engine.ParseError)
	ForcedClose             = Reason(engine.ForcedClose)
	ShuttingDown            = Reason(engine.ShuttingDown)
	SlowConsumer            = Reason(engine.SlowConsumer)
	Limit                   = Reason(engine.Limit)
)
