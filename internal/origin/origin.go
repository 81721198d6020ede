// Package origin decides which pages' browsers may use a server, and answers what CORS asks of one. It is a leaf.
package origin

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Policy decides which pages' browsers may use a server, over polling and WebSocket alike. A request without Origin
// passes: browsers send one wherever it matters. So does one whose Origin is the host it was sent to, whatever is listed:
// it comes from the server's own pages, or from a native client, which has no other.
type Policy struct {
	any       bool // every origin, without credentials
	loopback  bool // every page served from this machine, on whatever port
	listed    map[string]struct{}
	wildcards []wildcard
}

// wildcard is scheme://*.host: the names below host, not host itself.
type wildcard struct {
	scheme string
	suffix string // ".host" or ".host:port"
}

// New returns the policy that lets in the origins listed: https://host[:port], https://*.host, null or *; and every page
// served from this machine, with loopback.
func New(entries []string, loopback bool) (*Policy, error) {
	p := &Policy{loopback: loopback, listed: make(map[string]struct{})}
	for _, entry := range entries {
		switch entry {
		case "*":
			p.any = true
			continue
		case "null":
			p.listed[entry] = struct{}{}
			continue
		}
		u, valid := parseEntry(entry)
		if !valid {
			return nil, fmt.Errorf("origin %q is not https://host[:port], https://*.host, null or *", entry)
		}
		scheme, host := originParts(u)
		if suffix, wild := strings.CutPrefix(host, "*"); wild {
			p.wildcards = append(p.wildcards, wildcard{scheme, suffix})
		} else {
			p.listed[scheme+"://"+host] = struct{}{}
		}
	}
	return p, nil
}

// IsEntry reports whether New takes entry.
func IsEntry(entry string) bool {
	_, valid := parseEntry(entry)
	return valid || entry == "*" || entry == "null"
}

// parseEntry parses what a browser may send as Origin, or a pattern for that. Nothing else may pass: "https://*" would let
// in every page together with its cookies.
func parseEntry(entry string) (*url.URL, bool) {
	u, err := url.Parse(entry)
	if err != nil || u.Scheme == "" || u.User != nil {
		return nil, false
	}
	// Whatever an origin does not have, such as a path, an empty query or an empty port, is missing on one side here.
	if entry[len(u.Scheme):] != "://"+u.Host || u.Hostname() == "" {
		return nil, false
	}
	if strings.Contains(strings.TrimPrefix(u.Host, "*."), "*") || u.Hostname() == "*." {
		return nil, false
	}
	if port := u.Port(); port != "" {
		_, err := strconv.ParseUint(port, 10, 16)
		return u, err == nil
	}
	return u, !strings.HasSuffix(u.Host, ":")
}

// Allows reports whether the request may be served.
func (p *Policy) Allows(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return origin == "" || p.any || p.names(origin) || sameHost(origin, r.Host)
}

// MayUseCookies reports whether the page of a request's Origin may use what cookies of its visitors prove: one of the own
// host, or one that is listed. That every page is let in does not count: browsers send cookies for each of them.
func (p *Policy) MayUseCookies(headers http.Header) bool {
	origin := headers.Get("Origin")
	return p.names(origin) || sameHost(origin, headers.Get("Host"))
}

// Headers sets what a browser needs to let a page of another origin read the answer.
func (p *Policy) Headers(r *http.Request, h http.Header) {
	if p.none() && !p.loopback {
		return
	}
	origin := r.Header.Get("Origin")
	switch {
	case origin == "":
	case p.names(origin):
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Vary", "Origin")
	case p.any:
		h.Set("Access-Control-Allow-Origin", "*")
	default:
		h.Set("Vary", "Origin")
	}
}

// Preflight answers the question a browser asks before a request with unusual headers, and reports whether r was one.
func (p *Policy) Preflight(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	origin := r.Header.Get("Origin")
	if !p.any && !p.names(origin) {
		return false
	}
	h := w.Header()
	p.Headers(r, h)
	h.Set("Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
		h.Add("Vary", "Access-Control-Request-Headers")
	}
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// none reports whether nothing is configured, so that only a server's own pages are let in.
func (p *Policy) none() bool {
	return !p.any && len(p.listed) == 0 && len(p.wildcards) == 0
}

// names reports whether the origin is one of those listed, or this machine's where those are.
func (p *Policy) names(origin string) bool {
	if origin == "null" {
		_, listed := p.listed[origin]
		return listed
	}
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	if p.loopback && isLoopback(u.Hostname()) {
		return true
	}
	scheme, host := originParts(u)
	if _, listed := p.listed[scheme+"://"+host]; listed {
		return true
	}
	for _, w := range p.wildcards {
		if scheme == w.scheme && strings.HasSuffix(host, w.suffix) {
			return true
		}
	}
	return false
}

// sameHost reports whether an origin's host and port are those the request was sent to. Schemes are not compared: TLS often
// ends at a proxy, which may name its own port or that of the scheme behind it.
func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" {
		return false
	}
	_, a := originParts(u)
	for _, scheme := range []string{u.Scheme, "http", "https"} {
		if _, b := originParts(&url.URL{Scheme: scheme, Host: host}); a == b {
			return true
		}
	}
	return false
}

// defaultPorts are those of the schemes that an Engine.IO client may use. Some native clients put their WebSocket's scheme
// into Origin.
var defaultPorts = map[string]string{"http": "80", "ws": "80", "https": "443", "wss": "443"}

// originParts returns scheme and host[:port] in lower case, a default port dropped.
func originParts(u *url.URL) (scheme, host string) {
	scheme, host = strings.ToLower(u.Scheme), strings.ToLower(u.Hostname())
	port := u.Port()
	if defaultPorts[scheme] == port {
		port = ""
	}
	switch {
	case port != "":
		host = net.JoinHostPort(host, port)
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	return scheme, host
}

func isLoopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}
