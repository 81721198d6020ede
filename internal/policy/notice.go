package policy

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/expression"
)

// Notice is what a developer should see of a decision: a refusal with all that explains it, and messages without
// recipients. It is empty for everything else. What clients chose is escaped, so that it cannot control a terminal.
func (d *Decision) Notice() string {
	var b strings.Builder
	if d.Code != "" {
		fmt.Fprintf(&b, "refused %s in %s: %s (%s)", d.subject(), printable(d.Namespace), printable(d.Message), d.Code)
		if d.Cause != nil {
			fmt.Fprintf(&b, ": %s", printable(d.Cause.Error()))
		}
		fmt.Fprintf(&b, "; rule %q", d.Rule)
		if d.SID != "" {
			fmt.Fprintf(&b, ", socket %s", d.SID)
		}
		b.WriteByte('\n')
		if len(d.Args.JSON) > 0 {
			fmt.Fprintf(&b, "    arguments %s\n", printable(string(d.Args.JSON)))
		}
		for i := range d.Trials {
			if t := &d.Trials[i]; t.Condition != "" {
				fmt.Fprintf(&b, "    rule %q: if %s is %s\n", t.Rule, printable(t.Condition), t.value())
				writeTerms(&b, "        ", t.Terms)
			}
		}
	}
	for i := range d.Actions {
		if x := &d.Actions[i]; x.Recipients == 0 {
			fmt.Fprintf(&b, "%s in %s: %s has no recipient on this node\n", d.subject(), printable(d.Namespace), x.line())
		}
	}
	return b.String()
}

// Explanation says what was decided, by which rule, what the conditions of the rules before were, and what would be done.
func (d *Decision) Explanation() string {
	var b strings.Builder
	outcome := "allowed"
	if d.Code != "" {
		outcome = "refused: " + string(d.Code)
	}
	fmt.Fprintf(&b, "%s in %s is %s", d.subject(), printable(d.Namespace), outcome)
	switch {
	case d.Rule == labelNoRule:
		b.WriteString(": no rule decides")
	case d.Event != "":
		fmt.Fprintf(&b, ", by rule %q", d.Rule)
	}
	b.WriteByte('\n')
	if d.Message != "" {
		fmt.Fprintf(&b, "  message: %s\n", printable(d.Message))
	}
	if d.Cause != nil {
		fmt.Fprintf(&b, "  cause: %s\n", printable(d.Cause.Error()))
	}
	for i := range d.Trials {
		t := &d.Trials[i]
		switch {
		case !t.Matches:
			fmt.Fprintf(&b, "  rule %q is about other events\n", t.Rule)
			continue
		case t.Condition == "":
			if d.Event != "" {
				fmt.Fprintf(&b, "  rule %q has no condition: it decides\n", t.Rule)
			}
			continue
		}
		verdict := "it is passed over"
		if t.Decides() {
			verdict = "it decides"
		}
		fmt.Fprintf(&b, "  rule %q: %s\n    if %s is %s\n", t.Rule, verdict, printable(t.Condition), t.value())
		writeTerms(&b, "      ", t.Terms)
	}
	for i := range d.Actions {
		fmt.Fprintf(&b, "  action %d: %s\n", i+1, d.Actions[i].line())
	}
	switch {
	case d.Acked && len(d.Ack.JSON) == 0: // on paper no backend answers
		b.WriteString("  ack: what the backend answers\n")
	case d.Acked:
		fmt.Fprintf(&b, "  ack: %s\n", printable(string(d.Ack.JSON)))
	}
	return b.String()
}

func (d *Decision) subject() string {
	if d.Event == "" {
		return d.Rule // connect or disconnect
	}
	return strconv.Quote(d.Event)
}

// value is the value of the condition.
func (t *Trial) value() string {
	if t.Err != nil {
		return "no value: " + printable(t.Err.Error())
	}
	return strconv.FormatBool(t.Holds)
}

func writeTerms(b *strings.Builder, indent string, terms []expression.Term) {
	for _, term := range terms {
		value := printable(term.Value)
		if term.Err != nil {
			value = "no value: " + printable(term.Err.Error())
		}
		fmt.Fprintf(b, "%s%s = %s\n", indent, printable(term.Source), value)
	}
}

// line is the action in one line.
func (x *Action) line() string {
	text := string(x.Verb)
	if len(x.Rooms) > 0 {
		if x.Verb == config.VerbEmit {
			text += " to"
		}
		text += " " + quoted(x.Rooms)
	}
	if len(x.Except) > 0 {
		text += " except " + quoted(x.Except)
	}
	if len(x.Args.JSON) > 0 {
		text += " " + printable(string(x.Args.JSON))
	}
	switch {
	case x.Verb == config.VerbForward:
		text += " to route " + strconv.Quote(x.Route)
	case x.Verb == config.VerbDisconnect && x.Connection:
		text += " the connection"
	case x.Verb == config.VerbDisconnect:
		text += " from the namespace"
	case x.ExcludeSender:
		text += ", not to the sender"
	}
	return text
}

func quoted(names []string) string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = strconv.Quote(cut(name))
	}
	return strings.Join(all, ", ")
}

// printable shortens s, and escapes what is no plain text.
func printable(s string) string {
	s = cut(s)
	q := strconv.Quote(s)
	if q = q[1 : len(q)-1]; strings.ReplaceAll(q, `\"`, `"`) == s {
		return s
	}
	return strings.ReplaceAll(q, `\"`, `"`)
}
