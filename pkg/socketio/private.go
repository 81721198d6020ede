package socketio

import (
	"net/http"
	"net/url"
	"strings"
)

// private is what of a handshake nobody else is told of.
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

// url returns path and query without the private parameters. What cannot be read is left out too: nobody can tell what
// it is.
func (p *private) url(target string) string {
	path, query, found := strings.Cut(target, "?")
	if !found {
		return target
	}
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		values, err := url.ParseQuery(pair)
		if err != nil {
			continue
		}
		secret := false
		for name := range values {
			secret = secret || p.parameters[name]
		}
		if !secret {
			kept = append(kept, pair)
		}
	}
	return path + "?" + strings.Join(kept, "&")
}
