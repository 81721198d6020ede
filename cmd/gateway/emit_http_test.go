package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func TestEmit_OverHTTP(t *testing.T) {
	requests := make(chan string, 1)
	var status atomic.Int32
	status.Store(http.StatusAccepted)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- r.Header.Get("Authorization") + " " + r.URL.Path + " " + string(body)
		w.Header().Set("Location", "/elsewhere")
		code := int(status.Load())
		w.WriteHeader(code)
		if code >= http.StatusBadRequest {
			_, _ = io.WriteString(w, `{"code":"the-code","detail":"the detail"}`)
		}
	}))
	defer server.Close()
	keys := write(t, "from-a-file\nsecond\n")
	configured := write(t, "api: {address: ':9092', keys: [of-the-configuration]}\n")

	for name, c := range map[string]struct {
		args      []string
		body, key string
	}{
		"everyone": {[]string{"--api-key", "k", "note", `{"b":1}`, "text", "-7"},
			`/v1/emit {"namespace":"/","all":true,"event":"note","args":[{"b":1},"text",-7]}`, "k"},
		"rooms": {[]string{"--api-key", keys, "--room", "a", "--room", "b", "--except", "c", "--namespace", "/n", "--volatile", "note"},
			`/v1/emit {"namespace":"/n","rooms":["a","b"],"except":["c"],"event":"note","args":[],"volatile":true}`, "from-a-file"},
		"key of the configuration": {[]string{"--config", configured, "note"},
			`/v1/emit {"namespace":"/","all":true,"event":"note","args":[]}`, "of-the-configuration"},
	} {
		code, stdout, stderr := execute(t, append([]string{"emit", "--http", server.URL + "/"}, c.args...)...)
		if code != exitClean || stdout+stderr != "" {
			t.Fatalf("%s: exit %d, %s%s", name, code, stdout, stderr)
		}
		if got := <-requests; got != "Bearer "+c.key+" "+c.body {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, c := range []struct {
		status int32 // 0: nothing is sent
		args   []string
		code   int
		says   string
	}{
		{401, []string{"--api-key", "secret-key", "note"}, exitFailed, "refused as the-code: the detail"},
		{503, []string{"--api-key", "secret-key", "note"}, exitFailed, "refused as the-code: the detail"},
		{400, []string{"--api-key", "secret-key", "disconnect"}, exitUsage, "refused as the-code: the detail"},
		{302, []string{"--api-key", "secret-key", "note"}, exitFailed, "no HTTP API of a gateway"},
		{0, []string{"note"}, exitUsage, "which key?"},
		{0, []string{"--api-key", "k", "--redis", "redis://h", "note"}, exitUsage, "goes without"},
		{0, []string{"--api-key", "./none", "note"}, exitUsage, "no such file"},
	} {
		status.Store(c.status)
		code, _, stderr := execute(t, append([]string{"emit", "--http", server.URL}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, c.says) || strings.Contains(stderr, "secret-key") {
			t.Errorf("%d %q: exit %d, %s", c.status, c.args, code, stderr)
		}
		if c.status != 0 {
			<-requests
		}
	}
	if code, _, stderr := execute(t, "emit", "--http", "nowhere", "--api-key", "k", "note"); code != exitUsage || !strings.Contains(stderr, "not a URL") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	server.Close()
	if code, _, stderr := execute(t, "emit", "--http", server.URL, "--api-key", "k", "note"); code != exitFailed || stderr == "" {
		t.Errorf("exit %d, %s", code, stderr)
	}
}
