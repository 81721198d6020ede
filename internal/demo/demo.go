package demo

import (
	"embed"
	"html/template"
	"io/fs"
	"net/http"
)

//go:embed page
var files embed.FS

//go:embed rules.yaml
var rules []byte

var page = template.Must(template.ParseFS(files, "page/index.html"))

// Rules is the demo's policy: a configuration file with nothing but namespaces.
func Rules() []byte { return rules }

// Handler serves the page at / and its files beside it. publish is the shell command that the page shows: it must
// reach the page when it is pasted.
func Handler(publish string) http.Handler {
	static, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the path is a constant
	}
	assets := http.FileServerFS(static)
	mux := http.NewServeMux()
	mux.Handle("GET /{file}", assets)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'self'; connect-src 'self' ws: wss:; base-uri 'none'; frame-ancestors 'none'")
		// A failure here is the browser's leaving; there is nobody to tell.
		_ = page.ExecuteTemplate(w, "index.html", struct{ Publish string }{publish})
	})
	return mux
}
