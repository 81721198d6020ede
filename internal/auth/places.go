package auth

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Places are where a client's token is looked for; the first that holds something counts.
type Places []place

// place is one of them: what reads a token from a request, empty when it holds none.
type place func(r *Request) string

// Request is what a client brings.
type Request struct {
	// Auth is the JSON object that came with CONNECT, nil when none did.
	Auth []byte
	// Handshake returns the headers, Host included, and the query of the connection's first request. It is called only
	// where a place needs them.
	Handshake func() (http.Header, url.Values)
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
		cookie, isCookie := strings.CutPrefix(name, placeCookie)
		switch {
		case name == placeAuth:
			places = append(places, func(r *Request) string { return memberToken(r.Auth) })
		case name == placeHeader:
			places = append(places, func(r *Request) string {
				headers, _ := r.Handshake()
				return bearer(headers.Get("Authorization"))
			})
		case name == placeQuery:
			places = append(places, func(r *Request) string {
				_, query := r.Handshake()
				return query.Get("token")
			})
		case isCookie:
			places = append(places, func(r *Request) string {
				headers, _ := r.Handshake()
				return cookieToken(headers, cookie, trusted)
			})
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

// memberToken returns the member token of an object, the last where several have that name, as JSON parsers do. null and
// the empty text hold nothing; what else is no text is handed on, to be found no token.
func memberToken(object []byte) (token string) {
	d := jsontext.NewDecoder(bytes.NewBuffer(object), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if open, err := d.ReadToken(); err != nil || open.Kind() != '{' {
		return ""
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return token
		}
		if name.String() != "token" {
			if d.SkipValue() != nil {
				return token
			}
			continue
		}
		value, err := d.ReadValue()
		if err != nil {
			return token
		}
		switch value.Kind() {
		case 'n':
			token = ""
		case '"':
			text, _ := jsontext.AppendUnquote(nil, value) // its error tells of characters that no token has
			token = string(text)
		default:
			token = string(value)
		}
	}
	return token
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

// WithoutToken returns a copy of the JSON object that came with CONNECT without its member token, which is a secret even
// where it is looked for elsewhere; {} for nil. The other members stay as they are spelled.
func WithoutToken(object []byte) []byte {
	d := jsontext.NewDecoder(bytes.NewBuffer(object), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	without := []byte{'{'}
	if open, err := d.ReadToken(); err != nil || open.Kind() != '{' {
		return []byte(`{}`)
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadValue()
		if err != nil {
			break
		}
		text, _ := jsontext.AppendUnquote(nil, name) // of a name, which has been read as one
		name = bytes.Clone(name)
		value, err := d.ReadValue()
		if err != nil {
			break
		}
		if string(text) == "token" {
			continue
		}
		if len(without) > 1 {
			without = append(without, ',')
		}
		without = append(append(append(without, name...), ':'), value...)
	}
	return append(without, '}')
}
