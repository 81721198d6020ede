package backend

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Mux is a Handler that hands events to typed functions by name. Make one with NewMux, add functions with [On],
// [Answer], Connected and Disconnected before the consumer runs, and give it to New.
//
// What a function returns decides about the entry:
//
//	nil               done; a client that waits is answered with the value of Answer, or {"ok":true}
//	Refuse, *Error    done; answered {"ok":false,"error":{"code":…,"message":…}} with its code and message
//	ErrLater          done; another process answers
//	TryAgain…         handled again, after a pause
//	Bury              a dead letter; answered like any other error
//	any other error   if the client waits, answered with code "failed" and the error's text, and done: the client decides
//	                  whether to send it again. Otherwise handled again.
//
// The text of an error goes to the client: wrap what it must not see with Refuse. An event without a function is refused
// with code "denied"; one whose arguments do not decode becomes a dead letter and is answered with code "invalid".
type Mux struct {
	exact        map[string]eventFunc
	prefixes     map[string]eventFunc // names that ended in *, without it
	connected    func(context.Context, *Entry) error
	disconnected func(context.Context, *Entry) error
}

// eventFunc returns the arguments of the answer; nil: {"ok":true}.
type eventFunc func(context.Context, *Entry) (*packet.Args, error)

// NewMux returns a Mux without functions.
func NewMux() *Mux {
	return &Mux{exact: make(map[string]eventFunc), prefixes: make(map[string]eventFunc)}
}

// On calls f with events of that name and their first argument, decoded into a T as encoding/json does; attachments fill
// []byte, and an argument that was left out is the zero value. Further arguments are read with [Entry.Bind]. A name that
// ends in * stands for all that begin so, unless a longer name fits. A second function for a name takes the first one's place.
func On[T any](m *Mux, event string, f func(ctx context.Context, e *Entry, arg T) error) {
	m.add(event, func(ctx context.Context, e *Entry) (*packet.Args, error) {
		arg, err := first[T](e)
		if err != nil {
			return nil, err
		}
		return nil, f(ctx, e, arg)
	})
}

// Answer is On for functions that return the argument of the client's acknowledgement. An R that is [packet.Args] is the
// whole list of arguments.
func Answer[T, R any](m *Mux, event string, f func(ctx context.Context, e *Entry, arg T) (R, error)) {
	m.add(event, func(ctx context.Context, e *Entry) (*packet.Args, error) {
		arg, err := first[T](e)
		if err != nil {
			return nil, err
		}
		result, err := f(ctx, e, arg)
		if err != nil {
			return nil, err
		}
		if list, ok := any(result).(packet.Args); ok {
			return &list, nil
		}
		list, err := packet.Marshal(result)
		if err != nil {
			return nil, Bury(fmt.Errorf("backend: encode answer: %w", err))
		}
		return &list, nil
	})
}

// Connected calls f for each socket that connects, on routes with lifecycle entries.
func (m *Mux) Connected(f func(ctx context.Context, e *Entry) error) { m.connected = f }

// Disconnected calls f for each socket that has gone, on routes with lifecycle entries: once for each Connected, also
// after the death of a gateway.
func (m *Mux) Disconnected(f func(ctx context.Context, e *Entry) error) { m.disconnected = f }

func (m *Mux) add(event string, f eventFunc) {
	if prefix, ok := strings.CutSuffix(event, "*"); ok {
		m.prefixes[prefix] = f
	} else {
		m.exact[event] = f
	}
}

func (m *Mux) find(event string) eventFunc {
	if f := m.exact[event]; f != nil {
		return f
	}
	longest, found := -1, eventFunc(nil)
	for prefix, f := range m.prefixes {
		if len(prefix) > longest && strings.HasPrefix(event, prefix) {
			longest, found = len(prefix), f
		}
	}
	return found
}

// Handle implements [Handler].
func (m *Mux) Handle(ctx context.Context, e *Entry) Verdict {
	switch e.Kind {
	case KindConnected:
		return lifecycle(ctx, e, m.connected)
	case KindDisconnected:
		return lifecycle(ctx, e, m.disconnected)
	}
	f := m.find(e.Event)
	if f == nil {
		return Done().Refuse(CodeDenied, "no handler for this event")
	}
	answer, err := f(ctx, e)
	return judge(e, answer, err)
}

func lifecycle(ctx context.Context, e *Entry, f func(context.Context, *Entry) error) Verdict {
	if f == nil {
		return Done()
	}
	return judge(e, nil, f(ctx, e))
}

var accepted = packet.Args{JSON: []byte(`[{"ok":true}]`)}

// judge is the table in the documentation of Mux.
func judge(e *Entry, answer *packet.Args, err error) Verdict {
	var refused *Error
	var retry again
	var buried dead
	switch {
	case err == nil && answer != nil:
		return Done().Answer(*answer)
	case err == nil:
		return Done().Answer(accepted)
	case errors.Is(err, ErrLater):
		return Done()
	case errors.As(err, &retry):
		return Verdict{fate: fateRetry, after: retry.after, err: retry.error}
	case errors.As(err, &buried):
		return explain(Dead(buried.error), buried.error)
	case errors.As(err, &refused), e.WantsAck():
		return explain(Done(), err)
	default:
		return Retry(err)
	}
}

// explain answers the client with an error.
func explain(v Verdict, err error) Verdict {
	var refused *Error
	if errors.As(err, &refused) {
		return v.Refuse(refused.Code, refused.Message)
	}
	return v.Refuse(CodeFailed, err.Error())
}

// first decodes the first argument.
func first[T any](e *Entry) (T, error) {
	var arg T
	err := e.Bind(&arg)
	if err == nil || errors.Is(err, packet.ErrNoArgument) {
		return arg, nil
	}
	// A *Error inside, so that the client sees which code it is and not how Go spells its types.
	return arg, Bury(fmt.Errorf("%w (%w)", Refuse(CodeInvalid, "the arguments do not fit"), err))
}
