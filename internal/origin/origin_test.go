package origin_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/origin"
)

func TestPolicy_Allows(t *testing.T) {
	for name, tt := range map[string]struct {
		entries  []string
		loopback bool
		origin   string
		host     string
		want     bool
	}{
		"no browser":                     {origin: "", host: "a.example", want: true},
		"no browser, list given":         {entries: []string{"https://b.example"}, origin: "", host: "a.example", want: true},
		"same host":                      {origin: "https://a.example", host: "a.example", want: true},
		"same host, scheme not compared": {origin: "http://a.example:8080", host: "a.example:8080", want: true},
		"default port dropped in host":   {origin: "https://a.example", host: "a.example:443", want: true},
		"default port dropped in origin": {origin: "http://a.example:80", host: "a.example", want: true},
		"case does not count":            {origin: "https://A.example", host: "a.EXAMPLE", want: true},
		"IPv6":                           {origin: "http://[::1]:8080", host: "[::1]:8080", want: true},
		"other host":                     {origin: "https://b.example", host: "a.example"},
		"other port":                     {origin: "https://a.example:8443", host: "a.example"},
		"subdomain":                      {origin: "https://x.a.example", host: "a.example"},
		"null by default":                {origin: "null", host: "a.example"},
		"nonsense":                       {origin: "::::", host: "a.example"},
		"empty host":                     {origin: "https://", host: ""},

		"listed":                         {entries: []string{"https://b.example"}, origin: "https://b.example", host: "a.example", want: true},
		"listed with default port":       {entries: []string{"https://b.example:443"}, origin: "https://b.example", host: "a.example", want: true},
		"listed, other scheme":           {entries: []string{"https://b.example"}, origin: "http://b.example", host: "a.example"},
		"own host, list given":           {entries: []string{"https://b.example"}, origin: "http://a.example", host: "a.example", want: true},
		"own host, WebSocket's scheme":   {origin: "ws://a.example:80", host: "a.example", want: true},
		"own host, port in Host only":    {origin: "wss://a.example", host: "a.example:443", want: true},
		"own host, port in Origin only":  {origin: "wss://a.example:443", host: "a.example", want: true},
		"own host, port behind a proxy":  {origin: "https://a.example", host: "a.example:80", want: true},
		"own host, other default port":   {origin: "http://a.example:443", host: "a.example"},
		"own host, same odd port":        {origin: "http://a.example:443", host: "a.example:443", want: true},
		"own host, IPv6 with wss":        {origin: "wss://[2001:DB8::1]", host: "[2001:db8::1]:443", want: true},
		"other host, WebSocket's scheme": {origin: "wss://b.example", host: "a.example:443"},
		"own host as a prefix":           {origin: "wss://a.example.evil", host: "a.example"},
		"below a wildcard":               {entries: []string{"https://*.b.example"}, origin: "https://x.y.b.example", host: "a.example", want: true},
		"the wildcard's host itself":     {entries: []string{"https://*.b.example"}, origin: "https://b.example", host: "a.example"},
		"a name that ends like it":       {entries: []string{"https://*.b.example"}, origin: "https://evilb.example", host: "a.example"},
		"wildcard, other port":           {entries: []string{"https://*.b.example"}, origin: "https://x.b.example:8443", host: "a.example"},
		"any scheme":                     {entries: []string{"capacitor://localhost"}, origin: "capacitor://localhost", host: "a.example", want: true},
		"null listed":                    {entries: []string{"null"}, origin: "null", host: "a.example", want: true},
		"everything":                     {entries: []string{"*"}, origin: "https://b.example", host: "a.example", want: true},
		"this machine":                   {loopback: true, origin: "http://localhost:5173", host: "127.0.0.1:8080", want: true},
		"this machine by address":        {loopback: true, origin: "http://127.0.0.9:1", host: "127.0.0.1:8080", want: true},
		"same host beside this machine":  {loopback: true, origin: "http://a.example", host: "a.example", want: true},
		"other host beside this machine": {loopback: true, origin: "http://b.example", host: "a.example"},
	} {
		t.Run(name, func(t *testing.T) {
			policy, err := origin.New(tt.entries, tt.loopback)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "/socket.io/", nil)
			r.Host = tt.host
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
			}
			if got := policy.Allows(r); got != tt.want {
				t.Errorf("allows = %t, want %t", got, tt.want)
			}
		})
	}
}

func TestNew_RefusesWhatIsNoOrigin(t *testing.T) {
	for _, entry := range []string{
		"", "b.example", "https://", "https://*", "https://*:443", "https://*.", "https://*b.example", "https://**.b.example", "https://a.*.example",
		"*.b.example", "https://b.example/", "https://b.example/path", "https://b.example?", "https://ann:pw@b.example", "https://b.example:",
		"https://b.example:99999", "https://b.example:*", "https://%zz",
	} {
		if _, err := origin.New([]string{"https://c.example", entry}, false); err == nil || !strings.Contains(err.Error(), strconv.Quote(entry)) {
			t.Errorf("%q: got %v", entry, err)
		}
		if origin.IsEntry(entry) {
			t.Errorf("%q is an entry", entry)
		}
	}
	for _, entry := range []string{"*", "null", "https://b.example", "http://b.example:8080", "https://*.b.example:8443", "capacitor://localhost", "https://[::1]:1"} {
		if _, err := origin.New([]string{entry}, false); err != nil || !origin.IsEntry(entry) {
			t.Errorf("%q: got %v, an entry: %t", entry, err, origin.IsEntry(entry))
		}
	}
}

func TestPolicy_HeadersLetTheBrowserReadTheAnswer(t *testing.T) {
	for name, tt := range map[string]struct {
		entries             []string
		origin              string
		allowed, credential string
		vary                string
	}{
		"nothing configured":       {origin: "https://a.example"},
		"listed":                   {[]string{"https://b.example"}, "https://b.example", "https://b.example", "true", "Origin"},
		"not listed":               {[]string{"https://b.example"}, "https://c.example", "", "", "Origin"},
		"everything":               {[]string{"*"}, "https://c.example", "*", "", ""},
		"listed beside everything": {[]string{"*", "https://b.example"}, "https://b.example", "https://b.example", "true", "Origin"},
	} {
		t.Run(name, func(t *testing.T) {
			policy, err := origin.New(tt.entries, false)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "/socket.io/", nil)
			r.Header.Set("Origin", tt.origin)
			h := make(http.Header)
			policy.Headers(r, h)
			for key, want := range map[string]string{
				"Access-Control-Allow-Origin":      tt.allowed,
				"Access-Control-Allow-Credentials": tt.credential,
				"Vary":                             tt.vary,
			} {
				if got := h.Get(key); got != want {
					t.Errorf("%s: %q, want %q", key, got, want)
				}
			}
		})
	}
}

func TestPolicy_PreflightIsAnsweredForListedOrigins(t *testing.T) {
	policy, err := origin.New([]string{"https://b.example"}, false)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(origin string) (*httptest.ResponseRecorder, bool) {
		r := httptest.NewRequest(http.MethodOptions, "/socket.io/", nil)
		r.Header.Set("Origin", origin)
		r.Header.Set("Access-Control-Request-Method", "POST")
		r.Header.Set("Access-Control-Request-Headers", "x-app")
		w := httptest.NewRecorder()
		return w, policy.Preflight(w, r)
	}
	w, answered := ask("https://b.example")
	if !answered || w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Headers") != "x-app" ||
		w.Header().Get("Access-Control-Allow-Methods") != "GET,HEAD,PUT,PATCH,POST,DELETE" {
		t.Errorf("listed: answered %t, %d %v", answered, w.Code, w.Header())
	}
	if _, answered := ask("https://c.example"); answered {
		t.Error("the preflight of a page that is not listed was answered")
	}
}
