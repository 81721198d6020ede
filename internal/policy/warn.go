package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/expression"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

func (c *compiler) warn(at string, line int, format string, args ...any) {
	c.warnings = append(c.warnings, config.Warning{Key: at, Line: line, Message: fmt.Sprintf(format, args...)})
}

// warnOfText warns of texts in v that look like expressions: they are sent, or name rooms, as they stand.
func (c *compiler) warnOfText(at string, v config.Value) {
	switch v.Kind {
	case config.String:
		if source := expression.Forgotten(v.Text); source != "" {
			c.warn(at, v.Line, "%q is text as it stands; did you mean ${%s}?", v.Text, source)
		}
	case config.List:
		for i, element := range v.List {
			c.warnOfText(fmt.Sprintf("%s[%d]", at, i), element)
		}
	case config.Map:
		for _, m := range v.Map {
			c.warnOfText(at, m.Value)
		}
	}
}

// warnOfRoom warns of a room that is called like a variable.
func (c *compiler) warnOfRoom(at string, where expression.Place, v config.Value) {
	c.warnOfText(at, v)
	if v.Kind == config.String && slices.Contains(expression.VariablesOf(where), v.Text) {
		c.warn(at, v.Line, "the room is called %q; did you mean ${%s}?", v.Text, v.Text)
	}
}

// warnOfCondition warns of an if that is the same for everybody, or compares something with itself.
func (c *compiler) warnOfCondition(at string, line int, e *expression.Expression) {
	if e.IsConstant() {
		c.warn(at, line, "%q is the same for every client and every event", e.Source)
	}
	for _, suspicion := range e.Suspicions() {
		c.warn(at, line, "%q %s", e.Source, suspicion)
	}
}

// warnOfSchema warns of a schema that no event fits: the list of arguments is an array, whatever the first of them is.
func (c *compiler) warnOfSchema(at string, v config.Value) {
	for _, m := range v.Map {
		if m.Key == "type" && m.Value.Kind == config.String && m.Value.Text != "array" {
			c.warn(at, v.Line, "fits no event: the list of arguments is an array, not of type %s; describe the first argument in prefixItems", m.Value.Text)
		}
	}
}

// warnOfAudience warns of a message without recipients.
func (c *compiler) warnOfAudience(at string, x *action) {
	if !x.excludeSender || x.rooms == nil || len(x.rooms.Names) != 1 {
		return
	}
	if whole := x.rooms.Names[0].Whole(); whole != nil && whole.Is("sid") {
		c.warn(at+".to", 0, "nobody gets this: it goes to the sender, whom exclude_sender leaves out")
	}
}

// warnOfEvents warns of rules that no event reaches: because no client can send it, or because rules before decide it.
func (c *compiler) warnOfEvents(at string, rules []*rule) {
	for i, r := range rules {
		unreachable := len(r.events) > 0
		by := ""
		for _, p := range r.events {
			key := fmt.Sprintf("%s.rules[%d].event", at, i)
			if !p.prefix && packet.ReservedEvent(p.text) {
				c.warn(key, 0, "no client can send %q: a reserved name closes its connection", p)
			}
			before := covering(rules[:i], p)
			if before == nil {
				unreachable = false
			} else {
				by = before.label
			}
		}
		if unreachable {
			c.warn(fmt.Sprintf("%s.rules[%d]", at, i), 0, "never decides: rule %q before it takes the same events and has no if", by)
		}
	}
}

// covering is the first rule that decides all events of a pattern.
func covering(rules []*rule, p pattern) *rule {
	for _, r := range rules {
		if r.cond != nil {
			continue
		}
		for _, q := range r.events {
			if q == p || q.prefix && strings.HasPrefix(p.text, q.text) {
				return r
			}
		}
	}
	return nil
}

// String is the pattern as it is written.
func (p pattern) String() string {
	if p.prefix {
		return p.text + "*"
	}
	return p.text
}
