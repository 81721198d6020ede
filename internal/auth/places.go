package auth

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/carillon-io/carillon/internal/config"
)

// Places are where a client's token is looked for; the first that holds something counts.
type Places []place

// place is one of them: what reads a token from a request, empty when it holds none.
type place func(r *Request) string

// Request is what a client brings.
type Request struct {
	// Auth is the token in the object that came with CONNECT; empty: none. Anything but a text counts as a token, one
	// that is not valid.
	Auth    string
	Headers http.Header // Host included
	Query   url.Values
}

// Where a token may be.
const (
	placeAuth   = "auth.token"
	placeHeader = "header.authorization"
	placeQuery  = "query.token"
	placeCookie = "cookie."
)

// NewPlaces returns the places that the configuration lists. trusted reports whether pages of a request's Origin may use
// the cookies of their visitors: whether it is the own host's, or listed by name.
func NewPlaces(names []string, trusted func(headers http.Header) bool) Places {
	places := make(Places, 0, len(names))
	for _, name := range names {
		switch cookie, isCookie := strings.CutPrefix(name, placeCookie); {
		case name == placeAuth:
			places = append(places, func(r *Request) string { return r.Auth })
		case name == placeHeader:
			places = append(places, func(r *Request) string { return bearer(r.Headers.Get("Authorization")) })
		case name == placeQuery:
			places = append(places, func(r *Request) string { return r.Query.Get("token") })
		case isCookie:
			places = append(places, func(r *Request) string { return cookieToken(r.Headers, cookie, trusted) })
		}
	}
	return places
}

// Find returns the token; empty when there is none.
func (p Places) Find(r *Request) string {
	for _, look := range p {
		if token := look(r); token != "" {
			return token
		}
	}
	return ""
}

// bearer returns the token of an Authorization header. Other schemes are for others, such as a proxy's password.
func bearer(header string) string {
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// cookieToken returns a cookie that the client's own page made the browser send. Browsers add cookies to requests that any
// page makes, so the cookie alone proves nothing about who asks.
func cookieToken(headers http.Header, name string, trusted func(http.Header) bool) string {
	if headers.Get("Cookie") == "" || !ownPage(headers, trusted) {
		return ""
	}
	r := http.Request{Header: headers}
	cookie, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// ownPage reports whether a trusted page made the request. Browsers leave Origin out of a page's GETs to its own host,
// and say so in Sec-Fetch-Site, which no page can set.
func ownPage(headers http.Header, trusted func(http.Header) bool) bool {
	if headers.Get("Origin") == "" {
		return headers.Get("Sec-Fetch-Site") == "same-origin"
	}
	return trusted(headers)
}

// HasCookie reports whether a token may come as a cookie.
func HasCookie(cfg config.Auth) bool {
	for _, name := range cfg.Token {
		if strings.HasPrefix(name, placeCookie) {
			return true
		}
	}
	return false
}
