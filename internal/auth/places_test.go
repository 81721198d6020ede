package auth_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/carillon-io/carillon/internal/auth"
)

func TestPlaces_FirstThatHoldsSomethingCounts(t *testing.T) {
	trusted := func(h http.Header) bool { return h.Get("Origin") == "https://own.example" }
	all := []string{"auth.token", "header.authorization", "query.token", "cookie.session"}
	own := http.Header{"Origin": {"https://own.example"}}
	with := func(h http.Header, name, value string) http.Header {
		h = h.Clone()
		if h == nil {
			h = http.Header{}
		}
		h.Add(name, value)
		return h
	}
	query := url.Values{"token": {"from query"}}
	for name, c := range map[string]struct {
		places  []string
		auth    string
		headers http.Header
		query   url.Values
		want    string
	}{
		"nothing":                 {all, "", own, nil, ""},
		"auth":                    {all, `{"token":"from auth"}`, with(own, "Authorization", "Bearer x"), query, "from auth"},
		"auth, escaped":           {all, `{"name":{"token":"no"},"t\u006fken":"a\u002eb"}`, own, nil, "a.b"},
		"auth, the last counts":   {all, `{"token":"a","token":"b"}`, own, nil, "b"},
		"auth, another case":      {all, `{"Token":"a"}`, own, nil, ""},
		"auth, empty":             {all, `{"token":""}`, own, query, "from query"},
		"auth, null":              {all, `{"token":null}`, own, query, "from query"},
		"auth, a number":          {all, `{"token":7}`, own, query, "7"},
		"auth, an object":         {all, `{"token":{"a":1}}`, own, query, `{"a":1}`},
		"auth, no object":         {all, `["token"]`, own, query, "from query"},
		"order as configured":     {[]string{"query.token", "auth.token"}, `{"token":"from auth"}`, own, query, "from query"},
		"not configured":          {[]string{"auth.token"}, "", own, query, ""},
		"bearer":                  {all, "", with(own, "Authorization", "bEARER  x.y.z "), query, "x.y.z"},
		"a proxy's password":      {all, "", with(own, "Authorization", "Basic eDp5"), query, "from query"},
		"empty bearer":            {all, "", with(own, "Authorization", "Bearer "), query, "from query"},
		"empty query":             {all, "", with(own, "Cookie", "session=c"), url.Values{"token": {""}}, "c"},
		"cookie":                  {all, "", with(own, "Cookie", "a=b; session=c"), nil, "c"},
		"quoted cookie":           {all, "", with(own, "Cookie", `session="c"`), nil, "c"},
		"another cookie":          {all, "", with(own, "Cookie", "sessions=c; Session=d"), nil, ""},
		"cookie, strange origin":  {all, "", http.Header{"Origin": {"https://evil.example"}, "Cookie": {"session=c"}}, nil, ""},
		"cookie, no origin":       {all, "", http.Header{"Cookie": {"session=c"}}, nil, ""},
		"cookie, own page's GET":  {all, "", http.Header{"Cookie": {"session=c"}, "Sec-Fetch-Site": {"same-origin"}}, nil, "c"},
		"cookie, sibling's GET":   {all, "", http.Header{"Cookie": {"session=c"}, "Sec-Fetch-Site": {"same-site"}}, nil, ""},
		"cookie, strange GET":     {all, "", http.Header{"Cookie": {"session=c"}, "Sec-Fetch-Site": {"cross-site"}}, nil, ""},
		"cookie, origin and site": {all, "", http.Header{"Origin": {"https://evil.example"}, "Cookie": {"session=c"}, "Sec-Fetch-Site": {"same-origin"}}, nil, ""},
	} {
		r := auth.Request{Auth: []byte(c.auth), Handshake: func() (http.Header, url.Values) { return c.headers, c.query }}
		if got := auth.NewPlaces(c.places, trusted).Find(&r); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
