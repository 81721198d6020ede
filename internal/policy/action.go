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
	route         string
	answer        answering // forward, as is route
}

// operation is an action with all its expressions evaluated: it can no longer fail because of what the client sent.
type operation struct {
	verb       config.Verb
	rooms      []string
	message    message
	connection bool
	forward    *forward
}

// evaluate evaluates the action's expressions.
func (x *action) evaluate(a *expression.Activation) (operation, error) {
	o := operation{verb: x.verb, connection: x.connection}
	var err error
	switch x.verb {
	case config.VerbJoin, config.VerbLeave:
		o.rooms, err = x.rooms.Eval(a, x.verb == config.VerbJoin)
	case config.VerbEmit, config.VerbBroadcast, config.VerbReply:
		o.message, err = x.message(a)
	case config.VerbForward:
		o.forward = &forward{route: x.route, event: a.Event, args: a.Args, answer: x.answer}
	}
	if err != nil {
		return operation{}, at(string(x.verb), err)
	}
	return o, nil
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

// prepare evaluates the expressions of all actions, before any of them is done.
func prepare(actions []*action, a *expression.Activation) ([]operation, error) {
	if len(actions) == 0 {
		return nil, nil
	}
	operations := make([]operation, len(actions))
	for i, x := range actions {
		var err error
		if operations[i], err = x.evaluate(a); err != nil {
			return nil, err
		}
	}
	return operations, nil
}

// do does the operation. If done is non-nil and confirms reports true, done is called exactly once with the cluster's
// result; reply before that, where the event is to be acknowledged with something else than the rule says. A returned
// error is final; done may have been called with it as well.
func (o *operation) do(s *client, reply func(packet.Args), done func(error)) error {
	switch o.verb {
	case config.VerbJoin:
		if done == nil {
			return s.Join(o.rooms...)
		}
		s.JoinThen(done, o.rooms...)
	case config.VerbLeave:
		s.Leave(o.rooms...)
		if done != nil {
			s.Stored(done)
		}
	case config.VerbEmit, config.VerbBroadcast:
		return s.Send(&o.message, done)
	case config.VerbReply:
		s.EmitArgs(o.message.args, o.message.volatile)
	case config.VerbForward:
		return s.forward(o.forward, reply, done)
	}
	return nil
}

// confirms reports whether do calls done.
func (o *operation) confirms() bool {
	return o.verb == config.VerbJoin || o.verb == config.VerbLeave || o.verb == config.VerbEmit || o.verb == config.VerbBroadcast || o.verb == config.VerbForward
}

// at says where an error arose, and leaves one that a client may see so.
func at(where string, err error) error {
	var shown expression.Invalid
	if errors.As(err, &shown) {
		return expression.Invalid(where + ": " + string(shown))
	}
	return fmt.Errorf("%s: %w", where, err)
}
