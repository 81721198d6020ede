package gateway

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/carillon-io/carillon/internal/origin"
	"github.com/carillon-io/carillon/pkg/engine"
)

// clientHandler serves what clients see: the Socket.IO path with the browser client's files in it, the doors, and root beside
// them.
type clientHandler struct {
	path     string // with both slashes; served without the second one too
	socketio http.Handler
	doors    []door
	origins  *originPolicy
	bundle   *bundle      // nil: there is none
	root     http.Handler // nil: 404
}

func (h *clientHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ours := strings.CutPrefix(r.URL.Path, h.path)
	ours = ours || r.URL.Path+"/" == h.path // as clients send it with addTrailingSlash: false, or a rewriting proxy
	door := http.Handler(nil)
	if !ours {
		door = findDoor(h.doors, r)
	}
	switch {
	case door != nil && h.origins.Preflight(w, r):
	case door != nil:
		door.ServeHTTP(w, r)
	case !ours && h.root != nil:
		h.root.ServeHTTP(w, r)
	case !ours:
		http.NotFound(w, r)
	case h.origins.Preflight(w, r):
	case h.bundle.serve(w, r, name):
	default:
		h.socketio.ServeHTTP(w, r)
	}
}

// sessionCookie carries the session's id, with the attributes that Node's server gives it; nil without a name.
func sessionCookie(name string) *http.Cookie {
	if name == "" {
		return nil
	}
	return &http.Cookie{Name: name, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

// originPolicy says which pages are let in, and warns of those that are not.
type originPolicy struct {
	*origin.Policy
	logger *zap.Logger
	log    rate.Sometimes // how often a refusal is a warning
}

func newOriginPolicy(entries []string, loopback bool, logger *zap.Logger) (*originPolicy, error) {
	p, err := origin.New(entries, loopback)
	return &originPolicy{Policy: p, logger: logger, log: rate.Sometimes{Interval: time.Minute}}, err
}

// check refuses requests from pages that are not let in.
func (p *originPolicy) check(r *http.Request) *engine.Refusal {
	if p.Allows(r) {
		return nil
	}
	origin, host := r.Header.Get("Origin"), r.Host
	p.log.Do(func() {
		p.logger.Warn("origin refused: list it in server.origins, or have the proxy in front keep the Host header; at most one such line a minute",
			zap.String("origin", origin), zap.String("host", host))
	})
	return &engine.Refusal{
		Status: http.StatusForbidden, Code: 4, Message: "Forbidden",
		Cause: fmt.Sprintf("Origin %q is neither listed nor the Host %q", origin, host),
	}
}
