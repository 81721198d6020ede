package policy

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/expression"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

var (
	errNotBuilt = errors.New("not in this version")
	errNotOne   = errors.New("must be a list of arguments or one ${…}")
)

// compiler turns a configuration into a ruleset, and gathers every fault on the way.
type compiler struct {
	environments expression.Environments
	faults       []config.Fault
	warnings     []config.Warning
}

// compile compiles a configuration. The ruleset is whole only when no fault was found.
func (c *compiler) compile(cfg Config) *ruleset {
	set := &ruleset{exact: make(map[string]*namespace), buckets: make(buckets)}
	for _, key := range slices.Sorted(maps.Keys(cfg.Namespaces)) {
		written := cfg.Namespaces[key]
		n := c.namespace(key, &written)
		if strings.HasSuffix(key, "*") {
			set.patterns = append(set.patterns, n)
		} else {
			set.exact[key] = n
		}
	}
	if set.exact["/"] == nil {
		set.exact["/"] = &namespace{key: "/"}
	}
	slices.SortStableFunc(set.patterns, func(x, y *namespace) int { return cmp.Compare(len(y.key), len(x.key)) })
	if limit := cfg.Events; limit.Rate > 0 {
		set.events = &bucket{limit: rate.Limit(limit.Rate), burst: cmp.Or(limit.Burst, limit.Rate)}
	}
	return set
}

func (c *compiler) namespace(key string, written *config.Namespace) *namespace {
	at := config.EntryKey("namespaces", key)
	n := &namespace{key: key}
	n.fresh = written.Recovery != nil && !*written.Recovery
	n.ask = written.Connect.Ask
	n.requireToken = written.Connect.Require == config.RequireToken
	n.asksAuth = asksAuth(written)
	n.connect.cond = c.condition(at+".connect.if", expression.InConnect, written.Connect.If)
	n.connect.do = c.actions(at+".connect.do", expression.InConnect, written.Connect.Do)
	n.disconnect.do = c.actions(at+".disconnect.do", expression.InDisconnect, written.Disconnect.Do)
	labels := map[string]bool{labelNoRule: true, labelConnect: true, labelDisconnect: true, labelRefresh: true}
	unnamed := map[string]int{}
	for i := range written.Rules {
		w := &written.Rules[i]
		r := c.rule(fmt.Sprintf("%s.rules[%d]", at, i), w)
		events := strings.Join(w.Event, ",")
		id := bucketID{namespace: key, rule: "name " + w.Name}
		if r.label = w.Name; r.label == "" {
			r.label = strconv.Itoa(i+1) + " " + events
			id = bucketID{namespace: key, rule: "events " + events, nth: unnamed[events]}
			unnamed[events]++
		}
		if r.bucket != nil {
			r.bucket.id = id
		}
		if labels[r.label] {
			err := fmt.Errorf("%q is the name of another rule or hook", r.label)
			c.fault(fmt.Sprintf("%s.rules[%d].name", at, i), 0, err)
		}
		labels[r.label] = true
		n.rules = append(n.rules, r)
	}
	c.warnOfEvents(at, n.rules)
	return n
}

func (c *compiler) rule(at string, written *config.Rule) *rule {
	r := &rule{
		cond: c.condition(at+".if", expression.InRule, written.If),
		do:   c.actions(at+".do", expression.InRule, written.Do),
	}
	for _, event := range written.Event {
		text, prefix := strings.CutSuffix(event, "*")
		r.events = append(r.events, pattern{text, prefix})
	}
	if written.Rate.Count > 0 && written.Rate.Per > 0 {
		limit := rate.Limit(float64(written.Rate.Count) / written.Rate.Per.Seconds())
		r.bucket = &bucket{limit: limit, burst: written.Rate.Count}
	}
	if written.Schema.Kind != config.Absent {
		var err error
		if r.schema, err = expression.CompileSchema(written.Schema); err != nil {
			c.fault(at+".schema", written.Schema.Line, err)
		} else {
			c.warnOfSchema(at+".schema", written.Schema)
		}
	}
	if written.Deny.Kind != config.Absent {
		c.warnOfText(at+".deny", written.Deny)
		r.deny = c.template(at+".deny", expression.InRule, written.Deny)
	}
	switch {
	case written.Ack.Kind == config.Absent:
	case answeringOf(written.Ack) != answerRule:
		for _, x := range r.do {
			x.answer = answeringOf(written.Ack)
		}
	default:
		r.ack = c.arguments(at+".ack", expression.InRule, written.Ack)
	}
	return r
}

// condition compiles an if: CEL source as it stands, of which checking must not know that it is no boolean.
func (c *compiler) condition(at string, where expression.Place, written config.Expression) *expression.Expression {
	if written.Source == "" {
		return nil
	}
	e, err := expression.Compile(c.environments[where], written.Source)
	if err != nil {
		if strings.HasPrefix(written.Source, "${") {
			err = fmt.Errorf("%q: an if is an expression without ${}", written.Source)
		}
		c.fault(at, written.Line, err)
		return nil
	}
	c.warnOfCondition(at, written.Line, e)
	if !e.MayBeBool() {
		c.fault(at, written.Line, fmt.Errorf("%q is of type %s, neither true nor false", written.Source, e.Type()))
	}
	return e
}

func (c *compiler) actions(at string, where expression.Place, written []config.Action) []*action {
	all := make([]*action, 0, len(written))
	for i := range written {
		all = append(all, c.action(fmt.Sprintf("%s[%d]", at, i), where, &written[i]))
	}
	return all
}

func (c *compiler) action(at string, where expression.Place, written *config.Action) *action {
	x := &action{verb: written.Verb()}
	if x.verb != "" {
		at += "." + string(x.verb)
	}
	switch x.verb {
	case config.VerbJoin:
		x.rooms = c.rooms(at, where, written.Join)
	case config.VerbLeave:
		x.rooms = c.rooms(at, where, written.Leave)
	case config.VerbEmit:
		w := written.Emit
		x.rooms = c.rooms(at+".to", where, w.To)
		x.except = c.rooms(at+".except", where, w.Except)
		x.excludeSender, x.volatile = w.ExcludeSender, w.Volatile
		c.message(x, at, where, w.Event, w.Args)
	case config.VerbBroadcast:
		w := written.Broadcast
		x.except = c.rooms(at+".except", where, w.Except)
		x.excludeSender, x.volatile = w.ExcludeSender, w.Volatile
		c.message(x, at, where, w.Event, w.Args)
	case config.VerbReply:
		w := written.Reply
		x.volatile = w.Volatile
		c.message(x, at, where, w.Event, w.Args)
	case config.VerbDisconnect:
		x.connection = written.Disconnect == config.DisconnectConnection
	case config.VerbForward:
		x.route = written.Forward
	default:
		c.fault(at, 0, errNotBuilt)
	}
	return x
}

func (c *compiler) message(x *action, at string, where expression.Place, event, args config.Value) {
	c.warnOfAudience(at, x)
	c.warnOfText(at+".event", event)
	x.event = c.template(at+".event", where, event)
	if name, ok := x.event.Constant(); ok && packet.ReservedEvent(name) {
		c.fault(at+".event", event.Line, fmt.Errorf("%q is a reserved name and cannot be emitted", name))
	}
	if whole := x.event.Whole(); whole != nil && !whole.MayBeString() {
		c.fault(at+".event", event.Line, fmt.Errorf("a value of type %s names no event", whole.Type()))
	}
	x.args = c.arguments(at+".args", where, args)
}

// rooms compiles what names rooms; nil where nothing was written.
func (c *compiler) rooms(at string, where expression.Place, written config.Value) *expression.Rooms {
	switch written.Kind {
	case config.Absent:
		return nil
	case config.List:
		r := &expression.Rooms{List: true}
		for i, v := range written.List {
			r.Names = append(r.Names, c.room(fmt.Sprintf("%s[%d]", at, i), where, v))
		}
		if len(r.Names) == 0 {
			c.fault(at, written.Line, expression.ErrNoRooms)
		}
		return r
	}
	return &expression.Rooms{Names: []*expression.Template{c.room(at, where, written)}}
}

func (c *compiler) room(at string, where expression.Place, written config.Value) *expression.Template {
	if written.Kind != config.String && written.Kind != config.Int {
		c.fault(at, written.Line, errors.New("must be the name of a room or a list of names"))
		return &expression.Template{}
	}
	c.warnOfRoom(at, where, written)
	t := c.template(at, where, written)
	if name, ok := t.Constant(); ok {
		if err := expression.CheckRoom(name); err != nil {
			c.fault(at, written.Line, err)
		}
	}
	return t
}

func (c *compiler) template(at string, where expression.Place, written config.Value) *expression.Template {
	t, err := expression.CompileTemplate(c.environments[where], written.Text)
	if err != nil {
		c.fault(at, written.Line, err)
		return expression.Text(written.Text)
	}
	return t
}

// arguments compiles a list of arguments; nothing written is an empty one.
func (c *compiler) arguments(at string, where expression.Place, written config.Value) *expression.Arguments {
	c.warnOfText(at, written)
	list := &expression.Arguments{}
	switch written.Kind {
	case config.Absent:
	case config.List:
		for i, v := range written.List {
			n, err := expression.CompileNode(c.environments[where], v)
			if err != nil {
				c.fault(fmt.Sprintf("%s[%d]", at, i), v.Line, err)
			}
			list.Items = append(list.Items, n)
		}
	case config.String:
		t, err := expression.CompileTemplate(c.environments[where], written.Text)
		if err == nil && t.Whole() == nil {
			err = errNotOne
		}
		if err != nil {
			c.fault(at, written.Line, err)
			break
		}
		list.Whole = t.Whole()
	default:
		c.fault(at, written.Line, errNotOne)
	}
	return list
}

func (c *compiler) fault(at string, line int, err error) {
	c.faults = append(c.faults, config.Fault{Key: at, Line: line, Message: err.Error()})
}

// all yields the namespaces.
func (s *ruleset) all() iter.Seq[*namespace] {
	return func(yield func(*namespace) bool) {
		for _, n := range s.exact {
			if !yield(n) {
				return
			}
		}
		for _, n := range s.patterns {
			if !yield(n) {
				return
			}
		}
	}
}

// enforce gives every rule and hook its counters, once the whole is known to be free of faults, and the buckets of the
// ruleset before that stay as they were.
func (s *ruleset) enforce(counter *prometheus.CounterVec, logger *zap.Logger, before *ruleset) {
	var kept buckets
	if before != nil {
		kept = before.buckets
	}
	s.unknown = newTally(counter, logger, labelUnknown, labelConnect)
	s.removed = newTally(counter, logger, labelRemoved, labelNoRule)
	for n := range s.all() {
		n.noRule = newTally(counter, logger, n.key, labelNoRule)
		n.connect.tally = newTally(counter, logger, n.key, labelConnect)
		n.refresh = newTally(counter, logger, n.key, labelRefresh)
		n.disconnect.tally = newTally(counter, logger, n.key, labelDisconnect)
		for _, r := range n.rules {
			r.tally = newTally(counter, logger, n.key, r.label)
			if r.bucket != nil {
				r.bucket = s.buckets.keep(kept, r.bucket)
			}
		}
	}
	if s.events != nil {
		s.events = s.buckets.keep(kept, s.events)
	}
}
