package conn

import (
	"errors"
	"fmt"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"go.uber.org/zap"
)

// ConnectError is a refusal that reaches the client as {"message":…,"data":…}. Clients take it as final.
type ConnectError struct {
	Message string
	Data    any // anything that can be written as JSON; nil: no data member
}

// Error is the message.
func (e *ConnectError) Error() string { return e.Message }

// ErrInvalidNamespace is the CONNECT_ERROR for a namespace that does not exist.
var ErrInvalidNamespace = &ConnectError{Message: "Invalid namespace"}

// ErrLimit is a refusal that passes by itself: it closes the connection, so that the client tries again.
var ErrLimit = errors.New("socketio: limit reached")

// coded is a ConnectError with a code that programs can read.
func coded(code, message string) *ConnectError {
	return &ConnectError{Message: message, Data: map[string]string{"code": code, "message": message}}
}

// refusal is the CONNECT_ERROR for cause: its message and data as an object. 2.x clients get the data alone, or the
// message where there is none.
func (c *Conn) refusal(nsp string, cause error) packet.Packet {
	p := packet.Packet{Type: packet.ConnectError, Namespace: nsp}
	message, data := cause.Error(), []byte(nil)
	var refused *ConnectError
	if errors.As(cause, &refused) {
		message = refused.Message
		if refused.Data != nil {
			data = c.set.JSON(refused.Data)
		}
	}
	switch {
	case c.session.Revision() != 3 || errors.Is(cause, ErrInvalidNamespace):
		p.Data = packet.AppendString([]byte(`{"message":`), message)
		if data != nil {
			p.Data = append(append(p.Data, `,"data":`...), data...)
		}
		p.Data = append(p.Data, '}')
	case data != nil:
		p.Data = data
	default:
		p.Data = packet.AppendString(nil, message)
	}
	return p
}

// JSON writes a value of the application's for others to read; nil when it cannot be written without attachments.
func (s *Set) JSON(v any) []byte {
	list, err := packet.Marshal(v)
	text, _ := list.At(0)
	if err == nil && len(list.Attachments) > 0 {
		err = errors.New("binary data has no place there")
	}
	if err != nil {
		s.tally.Log.Error("value cannot be written as JSON", zap.String("type", fmt.Sprintf("%T", v)), zap.Error(err))
		return nil
	}
	return text
}
