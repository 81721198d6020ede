package policy

import (
	"net/http"
	"net/url"
	"time"

	"github.com/carillon-io/carillon/internal/auth"
	"github.com/carillon-io/carillon/pkg/engine"
)

// helloWithin is how long a client that need not have a token has to say hello with one. It is the price for those that have
// none and do not say so: without it they would be in before their hello, under no name.
const helloWithin = time.Second

// Hello says how long a client that may say hello has for it: none where its namespace would find no token in it, or finds one
// in the request already. With required, nothing else lets it in. It is socketio.Config's.
func (p *Policy) Hello(s *engine.Session, nsp string) (wait time.Duration, required bool) {
	n := p.current.Load().find(nsp)
	if n == nil || !p.tokens.looks() {
		return 0, false
	}
	token := p.tokens.Places.Find(&auth.Request{Handshake: func() (http.Header, url.Values) {
		h := s.Handshake()
		return h.Headers, h.Query
	}})
	if token != "" {
		return 0, false
	}
	return helloWithin, n.requireToken
}
