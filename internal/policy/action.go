package policy

import (
	"errors"
	"fmt"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/expression"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// action is one compiled action. Which fields it uses follows from its verb.
type action struct {
	verb          config.Verb
	rooms         *expression.Rooms    // join, leave; emit's to
	except        *expression.Rooms    // emit, broadcast; may be nil
	event         *expression.Template // emit, broadcast, reply
	args          *expression.Arguments
	excludeSender bool
	volatile      bool
	connection    bool // disconnect
}

// effect is an action with all its expressions evaluated: what is left cannot fail for what the client sent.
type effect struct {
	verb       config.Verb
	rooms      []string
	message    message
	connection bool
}

// prepare evaluates the action's expressions.
func (x *action) prepare(a *expression.Activation) (effect, error) {
	e := effect{verb: x.verb, connection: x.connection}
	var err error
	switch x.verb {
	case config.VerbJoin, config.VerbLeave:
		e.rooms, err = x.rooms.Eval(a, x.verb == config.VerbJoin)
	case config.VerbEmit, config.VerbBroadcast, config.VerbReply:
		e.message, err = x.message(a)
	}
	if err != nil {
		return effect{}, at(string(x.verb), err)
	}
	return e, nil
}

func (x *action) message(a *expression.Activation) (message, error) {
	m := message{excludeSender: x.excludeSender, volatile: x.volatile}
	var err error
	if x.rooms != nil {
		if m.to, err = x.rooms.Eval(a, false); err != nil {
			return m, err
		}
	}
	if x.except != nil {
		if m.except, err = x.except.Eval(a, false); err != nil {
			return m, err
		}
	}
	name, err := x.eventName(a)
	if err != nil {
		return m, err
	}
	m.args, err = x.args.Event(name, a)
	return m, err
}

// eventName is the name of the event to send. The value of a whole template must be a string.
func (x *action) eventName(a *expression.Activation) (string, error) {
	if name, ok := x.event.Constant(); ok {
		return name, nil
	}
	name, err := x.event.Name(a)
	if err != nil {
		return "", err
	}
	if packet.ReservedEvent(name) {
		return "", expression.Invalid("a reserved event name")
	}
	return name, nil
}

// prepareAll evaluates the expressions of all actions, before any of them is done.
func prepareAll(actions []*action, a *expression.Activation) ([]effect, error) {
	if len(actions) == 0 {
		return nil, nil
	}
	effects := make([]effect, len(actions))
	for i, x := range actions {
		var err error
		if effects[i], err = x.prepare(a); err != nil {
			return nil, err
		}
	}
	return effects, nil
}

// do does the effect. With done it also tells, once, when and how the cluster took it; an error returned is final and
// may have been told done too. Effects the cluster has no part in do not call done: confirms says which do.
func (e *effect) do(s socket, done func(error)) error {
	switch e.verb {
	case config.VerbJoin:
		if done == nil {
			return s.Join(e.rooms...)
		}
		s.JoinThen(done, e.rooms...)
	case config.VerbLeave:
		s.Leave(e.rooms...)
	case config.VerbEmit, config.VerbBroadcast:
		return s.Send(&e.message, done)
	case config.VerbReply:
		s.EmitArgs(e.message.args, e.message.volatile)
	}
	return nil
}

// confirms reports whether do calls done.
func (e *effect) confirms() bool {
	return e.verb == config.VerbJoin || e.verb == config.VerbEmit || e.verb == config.VerbBroadcast
}

// at says where an error arose, and leaves one that a client may see so.
func at(where string, err error) error {
	var shown expression.Invalid
	if errors.As(err, &shown) {
		return expression.Invalid(where + ": " + string(shown))
	}
	return fmt.Errorf("%s: %w", where, err)
}
