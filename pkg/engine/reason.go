package engine

// CloseReason says why a session ended, in Node's words where Node has one.
type CloseReason string

// The reasons. They are metric labels: a closed set.
const (
	TransportError CloseReason = "transport error"
	TransportClose CloseReason = "transport close"
	ForcedClose    CloseReason = "forced close"
	PingTimeout    CloseReason = "ping timeout"
	ParseError     CloseReason = "parse error"
	SlowConsumer   CloseReason = "slow consumer"
	ShuttingDown   CloseReason = "server shutting down"
	Limit          CloseReason = "limit"
)

var closeReasons = []CloseReason{
	TransportError, TransportClose, ForcedClose, PingTimeout, ParseError, SlowConsumer, ShuttingDown, Limit,
}
