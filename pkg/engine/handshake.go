package engine

import (
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Handshake is what is kept of a session's first request. It is parsed on demand from one flat copy.
type Handshake struct {
	Time    time.Time
	Address string // without port
	Secure  bool
	XDomain bool        // an Origin header was there
	URL     string      // path and query
	Query   url.Values  // as ParseQuery reads it
	Headers http.Header // Host included
}

// maxHandshake is how large a request may be that opens a session: its path, query and headers are kept for the session's
// life. net/http's own default is 1 MB.
const maxHandshake = 20 << 10

// flatten keeps a request as one string: address, "s" where it is secure, path and query, then one line for each header
// value. None of these can hold a line feed: net/http refuses such requests.
func (s *Server) flatten(r *http.Request) string {
	address, secure := s.client(r)
	var b strings.Builder
	n := len(address) + len(r.RequestURI) + len(r.Host) + len("\n\n\nHost:")
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + 2
		}
	}
	b.Grow(n + 1)
	b.WriteString(address)
	b.WriteByte('\n')
	if secure {
		b.WriteByte('s')
	}
	b.WriteByte('\n')
	b.WriteString(r.RequestURI)
	b.WriteString("\nHost:" + r.Host)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		for _, v := range r.Header[name] {
			b.WriteByte('\n')
			b.WriteString(name)
			b.WriteByte(':')
			b.WriteString(v)
		}
	}
	return b.String()
}

// Handshake describes the request that opened the session.
func (s *Session) Handshake() Handshake {
	address, rest, _ := strings.Cut(s.request, "\n")
	secure, rest, _ := strings.Cut(rest, "\n")
	target, rest, _ := strings.Cut(rest, "\n")
	h := Handshake{
		Time:    s.server.epoch.Add(s.opened),
		Address: address,
		Secure:  secure != "",
		URL:     target,
		Headers: http.Header{},
	}
	for line := range strings.SplitSeq(rest, "\n") {
		name, value, _ := strings.Cut(line, ":")
		h.Headers[name] = append(h.Headers[name], value)
	}
	h.XDomain = h.Headers.Get("Origin") != ""
	_, query, _ := strings.Cut(target, "?")
	h.Query = ParseQuery(query)
	return h
}

// client asks Config.Client, else takes what the connection tells.
func (s *Server) client(r *http.Request) (address string, secure bool) {
	if s.config.Client != nil {
		return s.config.Client(r)
	}
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	return address, r.TLS != nil
}
