package main

import (
	"embed"
	"encoding/json"
	"io/fs"
	"mime"
	"net/http"
)

//go:embed page
var files embed.FS

// maxBody bounds the body of a request, in bytes.
const maxBody = 16 << 10

// routes are the Socket.IO server, the page, the official client from a folder, and the backend's door.
func (c *chat) routes(client string) http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the path is a constant
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", c.tokens.withUser(c.io))
	mux.HandleFunc("POST /login", c.tokens.serveLogin)
	mux.Handle("/", http.FileServerFS(page))
	mux.Handle("/client/", http.StripPrefix("/client/", http.FileServer(http.Dir(client))))
	mux.HandleFunc("POST /notify", c.serveNotify)
	return mux
}

// serveNotify takes {"user":…,"text":…}. The content type must be right: pages of other sites cannot send it unasked.
func (c *chat) serveNotify(w http.ResponseWriter, r *http.Request) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		http.Error(w, "send application/json", http.StatusUnsupportedMediaType)
		return
	}
	var n struct{ User, Text string }
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&n); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	err := checkText(n.Text)
	if err == nil {
		err = c.notify(n.User, n.Text)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
