package backend

import (
	"context"
	"errors"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Handler handles the entries of a route. Handle is called from many goroutines at once, for the entries of one socket
// one after the other and in order. ctx ends when the partition may belong to another process, because the lease could
// not be renewed in time, and [Config.Grace] after Run was asked to end; what Handle returns then counts only if this
// process still holds the lease. A panic is recovered, logged and counts as Retry.
type Handler interface {
	Handle(ctx context.Context, e *Entry) Verdict
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(ctx context.Context, e *Entry) Verdict

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, e *Entry) Verdict { return f(ctx, e) }

// Verdict is what becomes of an entry: Done, Retry or Dead. The zero value is Done.
type Verdict struct {
	fate   fate
	after  time.Duration // of Retry; below 0: by Config.Backoff
	err    error         // of Retry and Dead
	answer *packet.Args
}

type fate uint8

const (
	fateDone fate = iota
	fateRetry
	fateDead
)

// Done acknowledges the entry. The client is not answered, unless the verdict is given an Answer or a Refusal; another
// process may answer it, with [Answerer].
func Done() Verdict { return Verdict{} }

// Retry handles the entry again after [Config.Backoff]. Until then later entries of the same socket wait, and no others.
// Once [Config.MaxAttempts] attempts have failed, the entry becomes a dead letter with err as the reason.
func Retry(err error) Verdict { return Verdict{fate: fateRetry, after: -1, err: err} }

// RetryAfter is Retry with a pause of the handler's choice.
func RetryAfter(pause time.Duration, err error) Verdict {
	return Verdict{fate: fateRetry, after: max(pause, 0), err: err}
}

// Dead moves the entry to the dead letters of its route, with err as the reason.
func Dead(err error) Verdict { return Verdict{fate: fateDead, err: err} }

// Answer answers the client with the arguments of its acknowledgement, if it waits for one. It has no effect on Retry.
func (v Verdict) Answer(args packet.Args) Verdict {
	v.answer = &args
	return v
}

// Refuse answers the client as the gateway refuses events: {"ok":false,"error":{"code":code,"message":message}}.
func (v Verdict) Refuse(code, message string) Verdict { return v.Answer(refusal(code, message)) }

func refusal(code, message string) packet.Args {
	text := packet.AppendString([]byte(`[{"ok":false,"error":{"code":`), code)
	text = packet.AppendString(append(text, `,"message":`...), message)
	return packet.Args{JSON: append(text, "}}]"...)}
}

// The codes of refusals that this package makes by itself; gateways have more.
const (
	CodeInvalid = "invalid" // the arguments are not what the handler takes
	CodeDenied  = "denied"  // no handler takes the event
	CodeFailed  = "failed"  // the handler returned an error that is no *Error
)

// Error is an error that a typed handler returns to refuse an event: the client is answered with code and message, and
// the entry is done.
type Error struct{ Code, Message string }

// Refuse makes an Error.
func Refuse(code, message string) error { return &Error{Code: code, Message: message} }

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// ErrLater is returned by a typed handler to finish an entry without an answer: another process answers the client, with
// [Answerer].
var ErrLater = errors.New("backend: the answer comes later")

// again is an error that asks for a retry, dead one that asks for a dead letter.
type (
	again struct {
		error
		after time.Duration
	}
	dead struct{ error }
)

func (e again) Unwrap() error { return e.error }
func (e dead) Unwrap() error  { return e.error }

// TryAgain marks an error of a typed handler as one that passes: the entry is handled again, as with [Retry], also where
// the client waits for an answer.
func TryAgain(err error) error { return again{err, -1} }

// TryAgainAfter is TryAgain with a pause of the handler's choice.
func TryAgainAfter(pause time.Duration, err error) error { return again{err, max(pause, 0)} }

// Bury marks an error of a typed handler as one that no retry can mend: the entry becomes a dead letter, and a client
// that waits is answered with the error.
func Bury(err error) error { return dead{err} }
