package gateway

import (
	"net/http"
	"strings"

	"github.com/carillon-io/carillon/pkg/engine"
)

// clientHandler serves what clients see: the Socket.IO path with the browser client's files in it, and root beside it.
type clientHandler struct {
	path     string // with both slashes
	socketio http.Handler
	origins  *originPolicy
	bundle   *bundle      // nil: not served
	root     http.Handler // nil: 404
}

func (h *clientHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ours := strings.CutPrefix(r.URL.Path, h.path)
	switch {
	case !ours && h.root != nil:
		h.root.ServeHTTP(w, r)
	case !ours:
		http.NotFound(w, r)
	case h.origins.preflight(w, r):
	case h.bundle != nil && h.bundle.serve(w, r, name):
	default:
		h.socketio.ServeHTTP(w, r)
	}
}

// check refuses requests from pages that are not let in.
func (p *originPolicy) check(r *http.Request) *engine.Refusal {
	if p.allows(r) {
		return nil
	}
	return &engine.Refusal{Status: http.StatusForbidden, Code: 4, Message: "Forbidden"}
}
