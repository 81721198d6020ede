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
		request auth.Request
		want    string
	}{
		"nothing":                 {all, auth.Request{Headers: own}, ""},
		"auth":                    {all, auth.Request{Auth: "from auth", Headers: with(own, "Authorization", "Bearer x"), Query: query}, "from auth"},
		"order as configured":     {[]string{"query.token", "auth.token"}, auth.Request{Auth: "from auth", Headers: own, Query: query}, "from query"},
		"not configured":          {[]string{"auth.token"}, auth.Request{Headers: own, Query: query}, ""},
		"bearer":                  {all, auth.Request{Headers: with(own, "Authorization", "bEARER  x.y.z "), Query: query}, "x.y.z"},
		"a proxy's password":      {all, auth.Request{Headers: with(own, "Authorization", "Basic eDp5"), Query: query}, "from query"},
		"empty bearer":            {all, auth.Request{Headers: with(own, "Authorization", "Bearer "), Query: query}, "from query"},
		"empty query":             {all, auth.Request{Headers: with(own, "Cookie", "session=c"), Query: url.Values{"token": {""}}}, "c"},
		"cookie":                  {all, auth.Request{Headers: with(own, "Cookie", "a=b; session=c")}, "c"},
		"quoted cookie":           {all, auth.Request{Headers: with(own, "Cookie", `session="c"`)}, "c"},
		"another cookie":          {all, auth.Request{Headers: with(own, "Cookie", "sessions=c; Session=d")}, ""},
		"cookie, strange origin":  {all, auth.Request{Headers: http.Header{"Origin": {"https://evil.example"}, "Cookie": {"session=c"}}}, ""},
		"cookie, no origin":       {all, auth.Request{Headers: http.Header{"Cookie": {"session=c"}}}, ""},
		"cookie, own page's GET":  {all, auth.Request{Headers: http.Header{"Cookie": {"session=c"}, "Sec-Fetch-Site": {"same-origin"}}}, "c"},
		"cookie, sibling's GET":   {all, auth.Request{Headers: http.Header{"Cookie": {"session=c"}, "Sec-Fetch-Site": {"same-site"}}}, ""},
		"cookie, strange GET":     {all, auth.Request{Headers: http.Header{"Cookie": {"session=c"}, "Sec-Fetch-Site": {"cross-site"}}}, ""},
		"cookie, origin and site": {all, auth.Request{Headers: http.Header{"Origin": {"https://evil.example"}, "Cookie": {"session=c"}, "Sec-Fetch-Site": {"same-origin"}}}, ""},
	} {
		if got := auth.NewPlaces(c.places, trusted).Find(&c.request); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
