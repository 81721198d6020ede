package rediswire

import (
	"errors"

	"github.com/carillon-io/carillon/internal/msgjson"
)

// Limits bounds what is read. The zero value means the defaults.
type Limits struct {
	Bytes int // longest message; 8 MiB when zero
	Depth int // deepest nesting in the arguments of an event or acknowledgement; DefaultDepth when zero
}

const (
	defaultBytes = 8 << 20

	// Wrapping is how many levels rules and publishers may put around what a client sent: a node that reads from Redis
	// accepts so many more than one that reads from a client, or an event would reach only the sender's own node.
	Wrapping = 32
	// DefaultDepth is the deepest nesting that nodes read by default.
	DefaultDepth = msgjson.DefaultDepth + Wrapping
	// writeDepth bounds the recursion of writers. Each node decides for itself how deep it reads.
	writeDepth = 1 << 12
)

func (l Limits) depth() int {
	if l.Depth == 0 {
		return DefaultDepth
	}
	return l.Depth
}

func (l Limits) check(payload []byte) error {
	limit := l.Bytes
	if limit == 0 {
		limit = defaultBytes
	}
	if len(payload) > limit {
		return ErrTooLarge
	}
	return nil
}

// Why a message is refused although it can be read. Any other error means that it cannot.
var (
	// ErrNamespace: the message is for another namespace than its channel says. Node ignores such messages.
	ErrNamespace = errors.New("rediswire: message is for another namespace")
	// ErrType: a request or response of a type that this version of the protocol does not have.
	ErrType = errors.New("rediswire: unknown type of message")
	// ErrTooLarge: longer than Limits.Bytes.
	ErrTooLarge = errors.New("rediswire: message too large")
)

// Why a message cannot be read.
var (
	errShape    = errors.New("not of the shape that the protocol wants")
	errEvent    = errors.New("no event")
	errReserved = errors.New("name of the event is reserved")
	errNoID     = errors.New("no request id")
)
