package policy

import (
	"strings"

	"github.com/carillon-io/carillon/internal/expression"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"golang.org/x/time/rate"
)

// gatewayPrefix begins the names of events that are the gateway's own: no rule sees them.
const gatewayPrefix = "auth:"

// rule is what some events do.
type rule struct {
	judge  *judge
	label  string
	events []pattern
	cond   *expression.Expression // nil: always
	bucket *bucket                // nil: no rate
	schema *expression.Schema
	deny   *expression.Template // set: the rule refuses
	do     []*action
	ack    *expression.Arguments // nil: {"ok":true}
}

// bucket describes the token buckets of a rule: each connection has one, at index in its list for the namespace's key.
type bucket struct {
	limit rate.Limit
	burst int
	index int
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

// plan is what a rule has decided to do for an event, every expression evaluated.
type plan struct {
	effects []effect
	ack     packet.Args
}

// decide finds the rule that decides the event and asks it. The judge is that rule's, or the namespace's for events
// that no rule decides.
func (n *namespace) decide(a *expression.Activation, limiters *limiters) (*judge, plan, *refusal) {
	if strings.HasPrefix(a.Event, gatewayPrefix) {
		return n.noRule, plan{}, denied("events beginning " + gatewayPrefix + " belong to the gateway")
	}
	for _, r := range n.rules {
		if !r.matches(a.Event) {
			continue
		}
		p, refusal, decided := r.decide(a, limiters)
		if decided {
			return r.judge, p, refusal
		}
	}
	return n.noRule, plan{}, denied("no rule allows this event")
}

// decide evaluates the condition, and if it holds, all of the rule.
func (r *rule) decide(a *expression.Activation, limiters *limiters) (p plan, refused *refusal, decided bool) {
	holds, err := r.cond.Holds(a)
	switch {
	case err != nil:
		return p, invalid("the condition cannot be evaluated", err), true
	case !holds:
		return p, nil, false
	}
	p, refused = r.plan(a, limiters)
	return p, refused, true
}

// plan passes the event through the rule up to the point where something is done.
func (r *rule) plan(a *expression.Activation, limiters *limiters) (plan, *refusal) {
	if r.bucket != nil && !limiters.allow(r.bucket) {
		return plan{}, &refusal{code: Overloaded, message: "too many events"}
	}
	if r.schema != nil {
		if err := r.schema.Validate(a); err != nil {
			return plan{}, invalid("the arguments do not fit the schema", err)
		}
	}
	if r.deny != nil {
		message, err := r.deny.Text(a)
		if err != nil {
			return plan{}, invalid("an expression cannot be evaluated", err)
		}
		return plan{}, denied(message)
	}
	effects, err := prepareAll(r.do, a)
	if err != nil {
		return plan{}, invalid("an expression cannot be evaluated", err)
	}
	p := plan{effects: effects, ack: accepted}
	if r.ack != nil {
		// Evaluated also when nobody waits for it: whether an event is refused does not depend on that.
		if p.ack, err = r.ack.Ack(a); err != nil {
			return plan{}, invalid("the acknowledgement cannot be evaluated", err)
		}
	}
	return p, nil
}

// limiters are the token buckets of one connection and the rules of one namespace key, each made when an event first
// needs it. One goroutine at a time.
type limiters struct {
	buckets []*rate.Limiter
}

func (l *limiters) allow(b *bucket) bool {
	for len(l.buckets) <= b.index {
		l.buckets = append(l.buckets, nil)
	}
	if l.buckets[b.index] == nil {
		l.buckets[b.index] = rate.NewLimiter(b.limit, b.burst)
	}
	return l.buckets[b.index].Allow()
}
