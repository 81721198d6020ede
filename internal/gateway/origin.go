package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// originPolicy decides which pages' browsers may use this node, over polling and WebSocket alike. A request without Origin
// passes: browsers send one wherever it matters. So does one whose Origin is the host it was sent to, whatever is listed:
// it comes from this node's own pages, or from a native client, which has no other.
type originPolicy struct {
	any       bool // every origin, without credentials
	loopback  bool // every page served from this machine, on whatever port
	listed    map[string]struct{}
	wildcards []wildcardOrigin
	logger    *zap.Logger
	log       rate.Sometimes // how often a refusal is a warning
}

// wildcardOrigin is scheme://*.host: the names below host, not host itself.
type wildcardOrigin struct {
	scheme string
	suffix string // ".host" or ".host:port"
}

func newOriginPolicy(entries []string, loopback bool, logger *zap.Logger) (*originPolicy, error) {
	p := &originPolicy{
		loopback: loopback, listed: make(map[string]struct{}), logger: logger, log: rate.Sometimes{Interval: time.Minute},
	}
	for _, entry := range entries {
		switch entry {
		case "*":
			p.any = true
			continue
		case "null":
			p.listed[entry] = struct{}{}
			continue
		}
		u, err := url.Parse(entry)
		if err != nil {
			return nil, fmt.Errorf("origin %q: %w", entry, err)
		}
		scheme, host := originParts(u)
		if suffix, wild := strings.CutPrefix(host, "*"); wild {
			p.wildcards = append(p.wildcards, wildcardOrigin{scheme, suffix})
		} else {
			p.listed[scheme+"://"+host] = struct{}{}
		}
	}
	return p, nil
}

// allows reports whether the request may be served.
func (p *originPolicy) allows(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	return origin == "" || p.any || p.names(origin) || sameHost(origin, r.Host)
}

// mayUseCookies reports whether the page of a request's Origin may use what cookies of its visitors prove: one of the own
// host, or one that is listed. That every page is let in does not count: browsers send cookies for each of them.
func (p *originPolicy) mayUseCookies(headers http.Header) bool {
	origin := headers.Get("Origin")
	return p.names(origin) || sameHost(origin, headers.Get("Host"))
}

// headers sets what a browser needs to let a page of another origin read the answer.
func (p *originPolicy) headers(r *http.Request, h http.Header) {
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

// preflight answers the question a browser asks before a request with unusual headers, and reports whether r was one.
func (p *originPolicy) preflight(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	origin := r.Header.Get("Origin")
	if !p.any && !p.names(origin) {
		return false
	}
	h := w.Header()
	p.headers(r, h)
	h.Set("Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
		h.Add("Vary", "Access-Control-Request-Headers")
	}
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// none reports whether nothing is configured, so that only a node's own pages are let in.
func (p *originPolicy) none() bool {
	return !p.any && len(p.listed) == 0 && len(p.wildcards) == 0
}

// names reports whether the origin is one of those listed, or this machine's where those are.
func (p *originPolicy) names(origin string) bool {
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
