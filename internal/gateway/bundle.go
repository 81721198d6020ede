package gateway

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
)

// bundleNames are the files of the official browser client, each with its source map.
var bundleNames = []string{"socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js"}

// bundleVersion finds the package's version in the banner that its build puts at the top of each file.
var bundleVersion = regexp.MustCompile(`Socket\.IO v([0-9A-Za-z.+-]+)`)

// bundle serves the official browser client under the Socket.IO path, as Node's server does. Files are read once.
type bundle struct {
	etag  string
	files map[string]bundleFile
}

// noBundle is what a page that wants the browser client is answered where there is none.
const noBundle = "The browser client is not served here. Set server.client_bundle to a folder with its files, as the container image " +
	"does (`make client` in a checkout of Carillon fetches them), or load it from your own build or from https://cdn.socket.io."

// bundleFile is one file in each content coding.
type bundleFile struct {
	contentType         string
	plain, gzip, brotli []byte
}

func loadBundle(dir string) (*bundle, error) {
	b := &bundle{files: make(map[string]bundleFile)}
	for _, script := range bundleNames {
		for _, name := range []string{script, script + ".map"} {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("client bundle: %w", err)
			}
			if err := b.add(name, text); err != nil {
				return nil, fmt.Errorf("client bundle: %s: %w", name, err)
			}
		}
	}
	if b.etag == "" {
		return nil, fmt.Errorf("client bundle: %s holds none of %s with a version in it", dir, strings.Join(bundleNames, ", "))
	}
	return b, nil
}

func (b *bundle) add(name string, text []byte) error {
	file := bundleFile{contentType: "application/javascript; charset=utf-8", plain: text}
	if strings.HasSuffix(name, ".map") {
		file.contentType = "application/json; charset=utf-8"
	} else if version := bundleVersion.FindSubmatch(text[:min(len(text), 512)]); version != nil {
		b.etag = `"` + string(version[1]) + `"`
	}
	var err error
	if file.gzip, err = compress(text, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.BestCompression) }); err != nil {
		return err
	}
	if file.brotli, err = compress(text, func(w io.Writer) (io.WriteCloser, error) { return brotli.NewWriter(w), nil }); err != nil {
		return err
	}
	b.files[name] = file
	return nil
}

// serve answers a request for one of the files and reports whether name is one. A nil bundle holds none of them.
func (b *bundle) serve(w http.ResponseWriter, r *http.Request, name string) bool {
	if !slices.Contains(bundleNames, strings.TrimSuffix(name, ".map")) {
		return false
	}
	if b == nil {
		http.Error(w, noBundle, http.StatusNotFound)
		return true
	}
	file, ok := b.files[name]
	if !ok {
		http.Error(w, name+" is not in the folder that server.client_bundle names", http.StatusNotFound)
		return true
	}
	h := w.Header()
	if tag := r.Header.Get("If-None-Match"); tag == b.etag || tag == "W/"+b.etag {
		w.WriteHeader(http.StatusNotModified)
		return true
	}
	h.Set("Cache-Control", "public, max-age=0")
	h.Set("Content-Type", file.contentType)
	h.Set("ETag", b.etag)
	h.Add("Vary", "Accept-Encoding")
	body := file.plain
	switch coding := contentCoding(r.Header.Get("Accept-Encoding")); coding {
	case "br":
		h.Set("Content-Encoding", coding)
		body = file.brotli
	case "gzip":
		h.Set("Content-Encoding", coding)
		body = file.gzip
	}
	_, _ = w.Write(body) // fails only when the client has left
	return true
}

// contentCoding is the first coding in an Accept-Encoding that the files come in; empty: none.
func contentCoding(header string) string {
	for part := range strings.SplitSeq(header, ",") {
		coding, parameters, _ := strings.Cut(part, ";")
		coding = strings.TrimSpace(coding)
		if coding == "*" {
			coding = "gzip"
		}
		if (coding == "br" || coding == "gzip") && strings.ReplaceAll(parameters, " ", "") != "q=0" {
			return coding
		}
	}
	return ""
}

func compress(text []byte, to func(io.Writer) (io.WriteCloser, error)) ([]byte, error) {
	var compressed bytes.Buffer
	w, err := to(&compressed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return compressed.Bytes(), nil
}
