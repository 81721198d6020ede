package native

// Protocol is how a client speaks.
type Protocol uint8

// The protocols.
const (
	Plain  Protocol = iota // WebSocket without subprotocol
	JSON                   // WebSocket with Subprotocol
	Events                 // Server-Sent Events: nothing comes from the client
	protocols
)

// Subprotocol is the name of JSON in a WebSocket handshake.
const Subprotocol = "carillon.v1.json"

// Acknowledges reports whether clients can acknowledge events and have theirs acknowledged.
func (p Protocol) Acknowledges() bool { return p == JSON }

// message is the one event that Plain needs no name for.
const message = "message"

// bytesName is the literal that every text with bytes in it has.
const bytesName = `"$bytes"`
