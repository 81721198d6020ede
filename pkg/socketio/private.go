package socketio

import (
	"net/http"
	"strings"

	"github.com/carillon-io/carillon/pkg/engine"
)

// private names what of a handshake stays on this node.
type private struct {
	headers    map[string]bool // in canonical spelling
	parameters map[string]bool // of the query
}

func newPrivate(cfg *Config) private {
	p := private{
		headers:    map[string]bool{"Authorization": true, "Cookie": true},
		parameters: map[string]bool{"token": true},
	}
	for _, name := range cfg.PrivateHeaders {
		p.headers[http.CanonicalHeaderKey(name)] = true
	}
	for _, name := range cfg.PrivateQuery {
		p.parameters[name] = true
	}
	return p
}

// url returns path and query without the private parameters. A semicolon separates parameters here, too: some proxies
// and servers hold it for a separator.
func (p *private) url(target string) string {
	path, query, found := strings.Cut(target, "?")
	if !found {
		return target
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		secret := false
		for part := range strings.SplitSeq(pair, ";") {
			for name := range engine.ParseQuery(part) {
				secret = secret || p.parameters[name]
			}
		}
		if !secret {
			kept = append(kept, pair)
		}
	}
	return path + "?" + strings.Join(kept, "&")
}
