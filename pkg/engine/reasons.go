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

// cause says what ended a session, where no error of another package does.
type cause string

func (c cause) Error() string { return string(c) }

const (
	errSilent   = cause("no pong, or for revision 3 no ping, came in time")
	errNotTaken = cause("the client did not take its last packets in time")
	errClosed   = cause("closed by the application")
	errFull     = cause("the outbox is over its hard limit")
	errStalled  = cause("the outbox is over its limit, and the client makes no progress")
)
