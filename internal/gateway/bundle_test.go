package gateway

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
)

const bundleScript = "/*!\n * Socket.IO v4.8.4\n */\n"

func newBundleDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestBundle_ServesTheOfficialNamesAsNodeDoes(t *testing.T) {
	t.Parallel()
	script := bundleScript + strings.Repeat("x", 5000)
	b, err := loadBundle(newBundleDir(t, map[string]string{
		"socket.io.min.js": script, "socket.io.min.js.map": "{}", "secret.txt": "not for you",
	}))
	if err != nil {
		t.Fatal(err)
	}
	get := func(name string, headers ...string) (*httptest.ResponseRecorder, bool) {
		r := httptest.NewRequest(http.MethodGet, "/socket.io/"+name, nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		return w, b.serve(w, r, name)
	}

	w, _ := get("socket.io.min.js")
	for key, want := range map[string]string{
		"Content-Type": "application/javascript; charset=utf-8", "Cache-Control": "public, max-age=0", "ETag": `"4.8.4"`, "Content-Encoding": "",
	} {
		if got := w.Header().Get(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if w.Body.String() != script {
		t.Error("the script is not what the file holds")
	}
	if w, _ := get("socket.io.min.js.map"); w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("map: %v", w.Header())
	}
	for _, tag := range []string{`"4.8.4"`, `W/"4.8.4"`} {
		if w, _ := get("socket.io.min.js", "If-None-Match", tag); w.Code != http.StatusNotModified || w.Body.Len() > 0 || len(w.Header()) > 0 {
			t.Errorf("If-None-Match %s: %d %v", tag, w.Code, w.Header())
		}
	}
	if w, _ := get("socket.io.min.js", "If-None-Match", `"4.8.3"`); w.Code != http.StatusOK {
		t.Errorf("another version: %d", w.Code)
	}
	w, _ = get("socket.io.min.js", "Accept-Encoding", "gzip, br")
	unzipped, err := gzip.NewReader(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(unzipped); err != nil || string(text) != script {
		t.Errorf("the compressed script is not the script: %v", err)
	}
	w, _ = get("socket.io.min.js", "Accept-Encoding", "br, gzip")
	if text, err := io.ReadAll(brotli.NewReader(w.Body)); err != nil || string(text) != script || w.Header().Get("Content-Encoding") != "br" {
		t.Errorf("brotli: %v %v", err, w.Header())
	}
	if w, _ := get("socket.io.min.js", "Accept-Encoding", "gzip;q=0"); w.Header().Get("Content-Encoding") != "" {
		t.Error("compressed for a client that does not want it")
	}
	for _, name := range []string{"", "secret.txt", "../secret.txt", "socket.io.esm.js"} {
		if _, served := get(name); served {
			t.Errorf("served %q", name)
		}
	}
	if w, _ := get("socket.io.js"); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "server.client_bundle") {
		t.Errorf("a file that is not there: %d %s", w.Code, w.Body)
	}
}

func TestBundle_WithoutOneThePageIsToldWhatToDo(t *testing.T) {
	t.Parallel()
	var none *bundle
	for name, ours := range map[string]bool{"socket.io.js": true, "socket.io.min.js.map": true, "": false, "socket.io.css": false} {
		w := httptest.NewRecorder()
		served := none.serve(w, httptest.NewRequest(http.MethodGet, "/socket.io/"+name, nil), name)
		if served != ours || ours && (w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), "server.client_bundle")) {
			t.Errorf("%q: served %t, %d %s", name, served, w.Code, w.Body)
		}
	}
}

func TestBundle_AFolderWithoutTheFilesIsAnError(t *testing.T) {
	t.Parallel()
	for name, dir := range map[string]string{
		"missing":         filepath.Join(t.TempDir(), "nowhere"),
		"empty":           t.TempDir(),
		"without version": newBundleDir(t, map[string]string{"socket.io.js": "var io"}),
	} {
		if _, err := loadBundle(dir); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
