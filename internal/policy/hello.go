package policy

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/pkg/engine"
)

// helloWithin is how long a client that need not say hello has time for it. It is the price for those that do not: without it
// they would be in before their hello, under no name.
const helloWithin = time.Second

// Hello says how long a client that may say hello has for it: none where nothing looks at it, be it for a token that the request
// does not bring, or because the namespace asks for auth. With required, nothing else lets it in. It is socketio.Config's.
func (p *Policy) Hello(s *engine.Session, nsp string) (wait time.Duration, required bool) {
	n := p.current.Load().find(nsp)
	if n == nil {
		return 0, false
	}
	missing := p.tokens.looks() && p.tokens.Places.Find(&auth.Request{Handshake: func() (http.Header, url.Values) {
		h := s.Handshake()
		return h.Headers, h.Query
	}}) == ""
	if !missing && !n.asksAuth {
		return 0, false
	}
	return helloWithin, missing && n.requireToken
}

var authWord = regexp.MustCompile(`\bauth\b`)

// asksAuth reports whether a namespace may look at what clients send with CONNECT, or with hello. It goes by the word, so it may
// err on the side of yes.
func asksAuth(written *config.Namespace) bool {
	text, err := json.Marshal(written)
	return err != nil || written.Connect.Ask != nil || authWord.Match(text)
}
