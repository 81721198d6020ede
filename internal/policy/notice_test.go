package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/expression"
	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

func TestNotice_NamesAllThatExplainsARefusal(t *testing.T) {
	got := (&policy.Decision{
		Namespace: "/", SID: "abc", Event: "join", Rule: "1 join", Code: policy.Invalid, Message: "the condition cannot be evaluated",
		Cause: errors.New("no such key: user"), Args: packet.Args{JSON: []byte(`[{"a":1}]`)},
		Trials: []policy.Trial{{Rule: "1 join", Matches: true, Condition: "args[0].user == sid", Err: errors.New("no such key: user"), Terms: []expression.Term{
			{Source: "args[0].user", Err: errors.New("no such key: user")}, {Source: "sid", Value: `"abc"`},
		}}},
	}).Notice()
	if want := `refused "join" in /: the condition cannot be evaluated (invalid): no such key: user; rule "1 join", socket abc
    arguments [{"a":1}]
    rule "1 join": if args[0].user == sid is no value: no such key: user
        args[0].user = no value: no such key: user
        sid = "abc"
`; got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestNotice_AMessageForNobody(t *testing.T) {
	d := &policy.Decision{Namespace: "/", Event: "say", Rule: "1 say", Actions: []policy.Action{
		{Verb: config.VerbJoin, Rooms: []string{"a"}, Recipients: -1},
		{Verb: config.VerbEmit, Rooms: []string{"b"}, Args: packet.Args{JSON: []byte(`["said"]`)}},
	}}
	if want, got := `"say" in /: emit to "b" ["said"] has no recipient on this node`+"\n", d.Notice(); got != want {
		t.Errorf("got\n%s", got)
	}
	d.Actions = d.Actions[:1]
	if got := d.Notice(); got != "" {
		t.Errorf("got\n%s", got)
	}
}

func TestNotice_NothingThatAClientChoseForgesALine(t *testing.T) {
	const forged = "\nrefused \"admin\" in /secret: all fine (ok)\x1b[31m\u202e"
	lines := strings.Split((&policy.Decision{
		Namespace: "/n" + forged, SID: "s", Event: "e" + forged, Rule: "2 e*", Code: policy.Denied, Message: "no " + forged, Cause: errors.New(forged),
		Args:    packet.Args{JSON: []byte(forged)},
		Trials:  []policy.Trial{{Condition: forged, Terms: []expression.Term{{Source: forged, Value: forged}, {Source: forged, Err: errors.New(forged)}}}},
		Actions: []policy.Action{{Verb: config.VerbEmit, Rooms: []string{forged}, Except: []string{forged}, Args: packet.Args{JSON: []byte(forged)}}},
	}).Notice(), "\n")
	for _, line := range lines {
		if strings.ContainsAny(line, "\x1b\u202e") || strings.HasPrefix(line, `refused "admin"`) {
			t.Errorf("%q", line)
		}
	}
	if len(lines) != 7 {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
}
