package policy

import (
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/expression"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Decision is the record of one event, connect or disconnect: what was decided, why, and what was done. It is written only
// for Options.OnDecision and a log at level debug.
type Decision struct {
	Namespace string      // as the client named it
	SID       string      // empty while there was no socket
	Event     string      // empty for a connect or a disconnect
	Args      packet.Args // of the event
	Rule      string      // the one that decided, as in the metrics
	Code      Code        // empty: allowed
	Message   string      // what the client was told of a refusal
	// Cause is what exactly went wrong; nil where the message says it all. It may hold parts of what the client sent.
	Cause error

	Trials  []Trial  // in the order in which the rules were tried
	Actions []Action // that were done, in order
	Ack     packet.Args
	Acked   bool // an acknowledgement was asked for and sent

	explained bool // with the terms of conditions, which cost more than the decision
}

// Trial is what one rule, or the hook, said to the event.
type Trial struct {
	Rule    string
	Matches bool // the event's name is the rule's
	// Condition is the rule's if, Holds its value; Err is why it has none. All are zero where there is no if.
	Condition string
	Holds     bool
	Err       error
	Terms     []expression.Term // what the condition is made of, if that is more than one comparison
}

// Decides reports whether the rule decided: the first one of a decision's trials does.
func (t *Trial) Decides() bool { return t.Matches && (t.Condition == "" || t.Holds || t.Err != nil) }

// Action is one action as it was done.
type Action struct {
	Verb          config.Verb
	Rooms         []string // of join, leave, emit
	Except        []string
	Args          packet.Args // of emit, broadcast and reply, the event's name first
	ExcludeSender bool
	Volatile      bool
	Connection    bool   // of disconnect
	Route         string // of forward
	// Recipients is how many sockets on this node an emit or broadcast reached; -1 for other verbs, and where there is no
	// server.
	Recipients int
	Err        error // it failed at once
}

// unknown is the number of recipients of an action that has none, or that was only tried on paper.
const unknown = -1

// try records what a rule, or a hook, says to the event. It returns the value of the condition.
func (d *Decision) try(label string, cond *expression.Expression, a *expression.Activation) (bool, error) {
	holds, err := cond.Holds(a)
	if d != nil {
		t := Trial{Rule: label, Matches: true, Holds: holds, Err: err}
		if cond != nil {
			t.Condition = cond.Source
		}
		if d.explained {
			t.Terms = cond.Explain(a)
		}
		d.Trials = append(d.Trials, t)
	}
	return holds, err
}

// pass records a rule that is about other events.
func (d *Decision) pass(label string) {
	if d != nil {
		d.Trials = append(d.Trials, Trial{Rule: label})
	}
}

// did records an action, before it is done: afterwards its recipients may be others.
func (d *Decision) did(s socket, o *operation) {
	if d == nil {
		return
	}
	x := Action{
		Verb: o.verb, Rooms: o.rooms, Except: o.message.except, Args: o.message.args, Connection: o.connection,
		ExcludeSender: o.message.excludeSender, Volatile: o.message.volatile, Recipients: unknown,
	}
	switch o.verb {
	case config.VerbForward:
		x.Route = o.forward.route
	case config.VerbEmit, config.VerbBroadcast:
		x.Rooms, x.Recipients = o.message.to, s.Recipients(&o.message)
	}
	d.Actions = append(d.Actions, x)
}

func (d *Decision) failed(err error) {
	if d != nil && err != nil {
		d.Actions[len(d.Actions)-1].Err = err
	}
}
