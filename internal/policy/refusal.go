package policy

import (
	"errors"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/celjson"
	"github.com/carillon-io/carillon/internal/expression"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Code says in an acknowledgement why an event was refused, and in a CONNECT_ERROR why a socket was.
type Code string

// The codes.
const (
	Denied      Code = "denied"      // no rule allows it, or one forbids it
	Invalid     Code = "invalid"     // what the client sent does not fit the rule
	Overloaded  Code = "overloaded"  // a rate, a limit, a full queue
	Unavailable Code = "unavailable" // the cluster could not be told, or may not have been
	Timeout     Code = "timeout"     // no backend answered
	// Codes of tokens are those of auth.Code.
)

// refusal ends a rule.
type refusal struct {
	code    Code
	message string
	cause   error
}

func denied(message string) *refusal { return &refusal{code: Denied, message: message} }

// invalid refuses what the client sent. An error whose text may be shown is the message.
func invalid(message string, cause error) *refusal {
	var shown expression.Invalid
	switch {
	case errors.As(cause, &shown):
		return &refusal{code: Invalid, message: string(shown)}
	case celjson.TooCostly(cause):
		message = tooCostly
	}
	return &refusal{Invalid, message, cause}
}

// invalidNamespace is the official server's message for a namespace that does not exist.
const invalidNamespace = "Invalid namespace"

// tooCostly is the message of an event whose evaluation was ended: the client can send less.
const tooCostly = "the event takes too much work to decide: send less"

// refusalOf says what an operation's error means to the client; no error is no refusal.
func refusalOf(err error) *refusal {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, socketio.ErrTooManyRooms):
		return &refusal{Overloaded, "too many rooms", err}
	case errors.Is(err, adapter.ErrFull):
		return &refusal{Overloaded, "too much is waiting for the cluster", err}
	case errors.Is(err, ErrBacklog):
		return &refusal{Overloaded, "too much is waiting for the backend", err}
	case errors.Is(err, ErrTimeout):
		return &refusal{Timeout, "the backend did not answer in time", err}
	case errors.Is(err, ErrTooLarge):
		return invalid("the event has too many attachments to be forwarded", err)
	case errors.Is(err, conn.ErrDisconnected):
		return denied("the socket is disconnected")
	case errors.Is(err, socketio.ErrReservedEvent):
		return invalid("a reserved event name", err)
	}
	return &refusal{Unavailable, "the cluster is unavailable", err}
}

// decision is the label a refusal is counted under.
func (r *refusal) decision() decision {
	switch {
	case r == nil:
		return allowed
	case r.code == Denied, r.code == Code(auth.Missing), r.code == Code(auth.Invalid), r.code == Code(auth.Expired):
		return refusedDenied
	case r.code == Invalid:
		return refusedInvalid
	case r.code == Overloaded:
		return refusedLimited
	}
	return refusedFailed
}

// accepted is the acknowledgement of a rule that says nothing else.
var accepted = packet.Args{JSON: []byte(`[{"ok":true}]`)}

// ack is the acknowledgement of a refusal.
func (r *refusal) ack() packet.Args {
	text := append([]byte(nil), `[{"ok":false,"error":{"code":"`...)
	text = append(text, r.code...)
	text = append(text, `","message":`...)
	text = packet.AppendString(text, r.message)
	return packet.Args{JSON: append(text, `}}]`...)}
}

// connectError is a refusal to connect: {"message":M,"data":{"code":C,"message":M}}.
func (r *refusal) connectError() *conn.ConnectError {
	return &conn.ConnectError{Message: r.message, Data: connectErrorData{r.code, r.message}}
}

type connectErrorData struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}
