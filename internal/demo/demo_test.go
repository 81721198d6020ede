package demo_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/config"
	"github.com/carillon-io/carillon/internal/demo"
)

// With clients 2.x, which gateway dev serves, whoever knows a socket's id may speak as its client.
func TestRules_TellNobodyTheIDOfASocket(t *testing.T) {
	if found := regexp.MustCompile(`.*\bsid\b.*`).Find(demo.Rules()); found != nil {
		t.Errorf("sid is used: %s", found)
	}
}

func TestTokenRules_TakeNamesFromTokensOnly(t *testing.T) {
	text := string(demo.TokenRules())
	if strings.Contains(text, "auth.name") {
		t.Errorf("a name is claimed:\n%s", text)
	}
	cfg, _, err := config.Load(config.Source{Name: "rules", File: append([]byte("auth: {jwt: {secret: s}}\n"), text...)})
	if err != nil || cfg.Namespaces["/"].Connect.Require != config.RequireToken {
		t.Errorf("requires %q, %v", cfg.Namespaces["/"].Connect.Require, err)
	}
}

func TestHandler_SignsTokensWhereTheyAreWanted(t *testing.T) {
	server := httptest.NewServer(demo.Handler("", func(name string) (string, error) { return "token of " + name, nil }))
	defer server.Close()
	if got := get(t, server.URL+"/token?name=ann", "text/plain; charset=utf-8"); got != "token of ann" {
		t.Errorf("got %q", got)
	}
	if got := get(t, server.URL+"/", "text/html; charset=utf-8"); !strings.Contains(got, "<body data-token>") {
		t.Error("the page does not ask for one")
	}
}

func TestHandler_PageShowsThePublishCommandAsText(t *testing.T) {
	server := httptest.NewServer(demo.Handler(`gateway emit note "<b>&"`, nil))
	defer server.Close()
	body := get(t, server.URL+"/", "text/html; charset=utf-8")
	if want := `gateway emit note &#34;&lt;b&gt;&amp;&#34;`; !strings.Contains(body, want) {
		t.Errorf("page does not show %s", want)
	}
}

func TestHandler_ServesWhatThePageRefersTo(t *testing.T) {
	server := httptest.NewServer(demo.Handler("", nil))
	defer server.Close()
	for path, kind := range map[string]string{
		"/chat.js":   "text/javascript; charset=utf-8",
		"/socket.js": "text/javascript; charset=utf-8",
		"/style.css": "text/css; charset=utf-8",
		"/icon.svg":  "image/svg+xml",
	} {
		get(t, server.URL+path, kind)
	}
}

func get(t *testing.T, url, kind string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != kind {
		t.Errorf("GET %s: %s %s, want 200 %s", url, response.Status, response.Header.Get("Content-Type"), kind)
	}
	return string(body)
}
