package demo_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/carillon-io/carillon/internal/demo"
)

// With clients 2.x, which gateway dev serves, whoever knows a socket's id may speak as its client.
func TestRules_TellNobodyTheIDOfASocket(t *testing.T) {
	if found := regexp.MustCompile(`.*\bsid\b.*`).Find(demo.Rules()); found != nil {
		t.Errorf("sid is used: %s", found)
	}
}

func TestHandler_PageShowsThePublishCommandAsText(t *testing.T) {
	server := httptest.NewServer(demo.Handler(`gateway emit note "<b>&"`))
	defer server.Close()
	body := get(t, server.URL+"/", "text/html; charset=utf-8")
	if want := `gateway emit note &#34;&lt;b&gt;&amp;&#34;`; !strings.Contains(body, want) {
		t.Errorf("page does not show %s", want)
	}
}

func TestHandler_ServesWhatThePageRefersTo(t *testing.T) {
	server := httptest.NewServer(demo.Handler(""))
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
