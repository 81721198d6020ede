package policytest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/policy"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Result is what became of a case.
type Result struct {
	Case     *Case
	Decision *policy.Decision
	Failures []string // none: as it should be
}

// Run decides all cases, each for a client of its own.
func Run(ctx context.Context, t *policy.Tester, cases []Case) ([]Result, error) {
	results := make([]Result, len(cases))
	for i := range cases {
		c := &cases[i]
		d, err := Decide(ctx, t, c)
		if err != nil {
			return nil, fmt.Errorf("case %d, %s: %w", i+1, c.Name, err)
		}
		results[i] = Result{c, d, c.Want.compare(d)}
	}
	return results, nil
}

// Decide decides one case.
func Decide(ctx context.Context, t *policy.Tester, c *Case) (*policy.Decision, error) {
	client := &policy.Client{
		Namespace: c.Namespace, ID: c.SID, Address: c.IP, Token: c.Token, Rooms: c.Rooms,
		Headers: http.Header{}, Query: url.Values{},
	}
	for name, value := range c.Headers {
		client.Headers.Set(name, value)
	}
	for name, value := range c.Query {
		client.Query.Set(name, value)
	}
	var err error
	if client.Auth, err = object(c.Auth); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	if client.Claims, err = object(c.Claims); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	args, err := arguments(c.Args)
	if err != nil {
		return nil, fmt.Errorf("args: %w", err)
	}
	switch {
	case c.Connect:
		return t.Connect(ctx, client), nil
	case c.Disconnect != "":
		return t.Disconnect(ctx, client, c.Disconnect), nil
	}
	return t.Event(ctx, client, c.Event, args, max(c.Times, 1)), nil
}

func object(members map[string]any) ([]byte, error) {
	if members == nil {
		return nil, nil
	}
	return json.Marshal(members)
}

// bytesMember stands for an attachment: {"$bytes": "<base64>"}.
const bytesMember = "$bytes"

// arguments is a list of arguments as it travels.
func arguments(list []any) (packet.Args, error) {
	values := make([]any, len(list))
	for i, v := range list {
		values[i] = withBytes(v)
	}
	return packet.Marshal(values...)
}

// withBytes puts bytes in the place of what stands for them.
func withBytes(v any) any {
	switch v := v.(type) {
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = withBytes(v[i])
		}
		return list
	case map[string]any:
		if text, ok := v[bytesMember].(string); ok && len(v) == 1 {
			if data, err := base64.StdEncoding.DecodeString(text); err == nil {
				return data
			}
		}
		members := make(map[string]any, len(v))
		for name, member := range v {
			members[name] = withBytes(member)
		}
		return members
	}
	return v
}

// plain is a list of arguments as it would be written in a case.
func plain(args packet.Args) []any {
	var list []any
	if len(args.JSON) == 0 || packet.Unmarshal(args.JSON, args.Attachments, &list) != nil {
		return []any{}
	}
	for i := range list {
		list[i] = withoutBytes(list[i])
	}
	return list
}

func withoutBytes(v any) any {
	switch v := v.(type) {
	case []byte:
		return map[string]any{bytesMember: base64.StdEncoding.EncodeToString(v)}
	case []any:
		for i := range v {
			v[i] = withoutBytes(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = withoutBytes(v[name])
		}
	}
	return v
}

// actions are a decision's actions as a configuration would say them, without templates.
func actions(d *policy.Decision) []any {
	list := []any{}
	for i := range d.Actions {
		list = append(list, map[string]any{string(d.Actions[i].Verb): action(&d.Actions[i])})
	}
	return list
}

func action(x *policy.Action) any {
	switch x.Verb {
	case config.VerbJoin, config.VerbLeave:
		return x.Rooms
	case config.VerbDisconnect:
		if x.Connection {
			return config.DisconnectConnection
		}
		return config.DisconnectNamespace
	case config.VerbForward:
		return x.Route
	}
	args := plain(x.Args)
	fields := map[string]any{"event": args[0]}
	if len(args) > 1 {
		fields["args"] = args[1:]
	}
	if x.Verb == config.VerbEmit {
		fields["to"] = x.Rooms
	}
	if len(x.Except) > 0 {
		fields["except"] = x.Except
	}
	if x.ExcludeSender {
		fields["exclude_sender"] = true
	}
	if x.Volatile {
		fields["volatile"] = true
	}
	return fields
}

// compare says what is not as it should be.
func (w *Want) compare(d *policy.Decision) []string {
	var failures []string
	differ := func(what string, got, want any) {
		failures = append(failures, fmt.Sprintf("%s is %s, want %s", what, text(got), text(want)))
	}
	if got := decision(d); got != w.Decision {
		differ("decision", got, w.Decision)
	}
	if w.Rule != "" && d.Rule != w.Rule {
		differ("rule", d.Rule, w.Rule)
	}
	if w.Message != "" && d.Message != w.Message {
		differ("message", d.Message, w.Message)
	}
	if w.Actions != nil {
		want := make([]any, len(*w.Actions))
		for i, x := range *w.Actions {
			want[i] = roomLists(x)
		}
		if got := actions(d); !same(got, want) {
			differ("actions", got, want)
		}
	}
	if w.Ack != nil {
		if got := plain(d.Ack); !same(got, *w.Ack) {
			differ("ack", got, *w.Ack)
		}
	}
	return failures
}

// decision is a decision in one word.
func decision(d *policy.Decision) string {
	if d.Code == "" {
		return "allowed"
	}
	return string(d.Code)
}

// roomLists writes a single room as the list that it stands for.
func roomLists(action map[string]any) map[string]any {
	list := func(fields map[string]any, name string) {
		if room, ok := fields[name].(string); ok {
			fields[name] = []any{room}
		}
	}
	list(action, string(config.VerbJoin))
	list(action, string(config.VerbLeave))
	for _, fields := range action {
		if fields, ok := fields.(map[string]any); ok {
			list(fields, "to")
			list(fields, "except")
		}
	}
	return action
}

// same compares two values by the JSON that they are.
func same(got, want any) bool { return reflect.DeepEqual(normal(got), normal(want)) }

func normal(v any) (value any) {
	if json.Unmarshal([]byte(text(v)), &value) != nil {
		return v
	}
	return value
}

func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}
