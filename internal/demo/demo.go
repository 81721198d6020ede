package demo

import (
	"bytes"
	"embed"
	"html/template"
	"io"
	"io/fs"
	"net/http"
)

//go:embed page
var files embed.FS

//go:embed rules.yaml
var rules []byte

var page = template.Must(template.ParseFS(files, "page/index.html"))

// claimedName is how the rules learn a client's name, which nothing proves.
const claimedName = `has(auth.name) ? auth.name : 'somebody'`

// Rules is the demo's policy: a configuration file with nothing but namespaces.
func Rules() []byte { return rules }

// TokenRules are the same rules for clients that prove their names with tokens.
func TokenRules() []byte {
	text := bytes.ReplaceAll(rules, []byte(claimedName), []byte("claims.sub"))
	return bytes.Replace(text, []byte("    connect:\n"), []byte("    connect:\n      require: token\n"), 1)
}

// Handler serves the page at / and its files beside it. publish is the shell command that the page shows: it must
// reach the page when it is pasted. sign makes a token for a name, which the page gets at /token; nil: it needs none.
func Handler(publish string, sign func(name string) (string, error)) http.Handler {
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
		_ = page.ExecuteTemplate(w, "index.html", struct {
			Publish string
			Token   bool
		}{publish, sign != nil})
	})
	if sign != nil {
		mux.HandleFunc("GET /token", func(w http.ResponseWriter, r *http.Request) {
			token, err := sign(r.FormValue("name"))
			if err != nil {
				http.Error(w, "no token", http.StatusInternalServerError)
				return
			}
			w.Header().Set("Cache-Control", "no-store")
			_, _ = io.WriteString(w, token) // a failure is the browser's leaving
		})
	}
	return mux
}
