package policy

import (
	"strings"

	"github.com/carillon-io/carillon/internal/expression"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// gatewayPrefix begins the names of events that are the gateway's own: no rule sees them.
const gatewayPrefix = "auth:"

// rule is what some events do.
type rule struct {
	tally  *tally
	label  string
	events []pattern
	cond   *expression.Expression // nil: always
	bucket *bucket                // nil: no rate
	schema *expression.Schema
	deny   *expression.Template // set: the rule refuses
	do     []*action
	ack    *expression.Arguments // nil: {"ok":true}
}

// pattern is a name, or where prefix is set what names begin with.
type pattern struct {
	text   string
	prefix bool
}

func (p pattern) matches(name string) bool {
	if p.prefix {
		return strings.HasPrefix(name, p.text)
	}
	return p.text == name
}

func (r *rule) matches(event string) bool {
	for _, p := range r.events {
		if p.matches(event) {
			return true
		}
	}
	return false
}

// outcome is what was decided about an event, every expression evaluated.
type outcome struct {
	tally      *tally // of the rule that decided, or the namespace's for events that no rule is about
	operations []operation
	ack        packet.Args
	refused    *refusal
}

// limiter hands out tokens.
type limiter interface{ allow(b *bucket) bool }

// decide finds the rule that decides the event, and evaluates it.
func (n *namespace) decide(a *expression.Activation, tokens limiter, d *Decision) outcome {
	if strings.HasPrefix(a.Event, gatewayPrefix) {
		return outcome{tally: n.noRule, refused: denied("events beginning " + gatewayPrefix + " belong to the gateway")}
	}
	for _, r := range n.rules {
		if !r.matches(a.Event) {
			d.pass(r.label)
			continue
		}
		holds, err := d.try(r.label, r.cond, a)
		switch {
		case err != nil:
			return outcome{tally: r.tally, refused: invalid("the condition cannot be evaluated", err)}
		case holds:
			o := r.evaluate(a, tokens)
			o.tally = r.tally
			return o
		}
	}
	return outcome{tally: n.noRule, refused: denied("no rule allows this event")}
}

// evaluate passes the event through the rule up to the point where something is done.
func (r *rule) evaluate(a *expression.Activation, tokens limiter) (o outcome) {
	if !tokens.allow(r.bucket) {
		return outcome{refused: &refusal{code: Overloaded, message: "too many events"}}
	}
	if r.schema != nil {
		if err := r.schema.Validate(a); err != nil {
			return outcome{refused: invalid("the arguments do not fit the schema", err)}
		}
	}
	if r.deny != nil {
		message, err := r.deny.Text(a)
		if err != nil {
			return outcome{refused: invalid("an expression cannot be evaluated", err)}
		}
		return outcome{refused: denied(message)}
	}
	operations, err := prepare(r.do, a)
	if err != nil {
		return outcome{refused: invalid("an expression cannot be evaluated", err)}
	}
	o = outcome{operations: operations, ack: accepted}
	if r.ack != nil {
		// Evaluated even if no ack was asked for: whether an event is refused does not depend on that.
		if o.ack, err = r.ack.Ack(a); err != nil {
			return outcome{refused: invalid("the acknowledgement cannot be evaluated", err)}
		}
	}
	return o
}
