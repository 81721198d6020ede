package policy

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/carillon-io/carillon/internal/ask"
	"github.com/carillon-io/carillon/internal/expression"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// Asking is how backends are asked whether a client may join. The zero value asks none.
type Asking struct {
	Asker *ask.Asker
	// Private reports whether a header, in its canonical spelling, stays here.
	Private func(header string) bool
}

// given is what a backend has let the socket in with.
type given struct {
	claims map[string]jsontext.Value
	rooms  []string

	// The claims of a token with those of the backend over them, made anew when the token changes.
	of     []byte
	merged []byte
}

// askBackend asks the namespace's backend whether the socket may join, unless it has said yes before. A backend that cannot be asked sends the client away,
// which comes back then.
func (l *logic) askBackend(ctx context.Context, n *namespace) error {
	if n.ask == nil || l.policy.asking.Asker == nil || l.client.given != nil {
		return nil
	}
	h := l.client.Handshake()
	q := ask.Question{
		Namespace: l.client.Nsp(), IP: h.Address, Headers: make(map[string]string), Auth: l.client.Auth().JSON, Claims: l.client.Claims(),
	}
	for name, values := range h.Headers {
		if l.policy.asking.Private == nil || !l.policy.asking.Private(name) {
			q.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
		}
	}
	admission, err := l.policy.asking.Asker.Ask(ctx, *n.ask, &q)
	if err == nil {
		l.client.given, err = newGiven(admission, l.client.ID())
	}
	var denial *ask.Denied
	switch {
	case err == nil:
		return nil
	case errors.As(err, &denial):
		message := denial.Message
		if message == "" {
			message = "not allowed"
		}
		refused := denied(message)
		l.report(n.connect.tally, l.record("", packet.Args{}), refused)
		return refused.connectError()
	case ctx.Err() != nil:
		return ctx.Err()
	}
	l.report(n.connect.tally, l.record("", packet.Args{}), &refusal{Unavailable, "the backend cannot be asked now", err})
	return conn.ErrClose
}

// newGiven holds what a backend answered to the rules of joins.
func newGiven(a ask.Admission, id string) (*given, error) {
	for _, room := range a.Rooms {
		if err := expression.CheckJoin(room, id); err != nil {
			return nil, err
		}
	}
	g := &given{rooms: a.Rooms}
	if a.Claims == nil {
		return g, nil
	}
	return g, json.Unmarshal(a.Claims, &g.claims)
}

// over are these claims over those of a token, which are nil without one.
func (g *given) over(own []byte) []byte {
	if g.claims == nil {
		return own
	}
	if g.merged != nil && bytes.Equal(g.of, own) {
		return g.merged
	}
	all := make(map[string]jsontext.Value)
	if own != nil {
		_ = json.Unmarshal(own, &all) // the payload of a verified token is an object
	}
	for name, value := range g.claims {
		all[name] = value
	}
	text, err := json.Marshal(all, json.Deterministic(true))
	if err != nil {
		return own
	}
	g.of, g.merged = own, text
	return text
}

// subject is the claim sub, if the backend has given one.
func (g *given) subject() string {
	var sub string
	if g == nil || json.Unmarshal(g.claims["sub"], &sub) != nil {
		return ""
	}
	return sub
}
