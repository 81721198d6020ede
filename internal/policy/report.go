package policy

import (
	"fmt"

	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"go.uber.org/zap"
)

// recording reports whether decisions are recorded.
func (p *Policy) recording() bool {
	return p.onDecision != nil || p.logger.Core().Enabled(zap.DebugLevel)
}

// record begins the record of a decision about a socket; nil while decisions are not recorded.
func (l *logic) record(event string, args packet.Args) *Decision {
	if !l.policy.recording() {
		return nil
	}
	return &Decision{
		Namespace: l.client.Nsp(), SID: l.client.ID(), Event: event, Args: args, explained: l.policy.onDecision != nil,
	}
}

// report counts a decision, and hands on its record. It is safe for concurrent use.
func (l *logic) report(t *tally, d *Decision, r *refusal) { l.policy.report(t, d, r) }

func (p *Policy) report(t *tally, d *Decision, r *refusal) {
	t.count(r)
	if d == nil {
		return
	}
	d.Rule = t.label
	if r != nil {
		d.Code, d.Message, d.Cause = r.code, r.message, r.cause
	}
	if d.Code != "" {
		d.log(t.logger, "refused")
	} else {
		d.log(t.logger, "done")
	}
	if p.onDecision != nil {
		p.onDecision(d)
	}
}

// maxLogged is how much of what a client sent stands in one field of a debug log.
const maxLogged = 256

// log writes the record at level debug: the only level at which a log holds what clients sent.
func (d *Decision) log(logger *zap.Logger, message string) {
	entry := logger.Check(zap.DebugLevel, message)
	if entry == nil {
		return
	}
	fields := make([]zap.Field, 0, 8)
	add := func(key, value string) {
		if value != "" {
			fields = append(fields, zap.String(key, cut(value)))
		}
	}
	add("sid", d.SID)
	add("event", d.Event)
	add("code", string(d.Code))
	add("message", d.Message)
	if d.Cause != nil {
		add("cause", d.Cause.Error())
	}
	for i := range d.Actions {
		x := &d.Actions[i]
		text := string(x.Verb)
		if len(x.Rooms) > 0 {
			text += fmt.Sprintf(" %q", x.Rooms)
		}
		if x.Route != "" {
			text += fmt.Sprintf(" %q", x.Route)
		}
		if x.Recipients != unknown {
			text += fmt.Sprintf(": %d recipients on this node", x.Recipients)
		}
		add(fmt.Sprintf("action %d", i+1), text)
	}
	entry.Write(fields...)
}

func cut(s string) string {
	if len(s) > maxLogged {
		return s[:maxLogged] + "…"
	}
	return s
}
