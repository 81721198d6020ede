package engine

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/gorilla/websocket"
)

// permessage-deflate without context takeover: each message is compressed for itself, so that one result serves all its
// recipients and an idle connection keeps no state.

// compressingUpgrader agrees to compression; it answers both no_context_takeover parameters and no other.
var compressingUpgrader = func() websocket.Upgrader {
	u := upgrader
	u.EnableCompression = true
	return u
}()

// offersDeflate reports whether a client offers compression that we can do. One that wants our window smaller, or asks
// for what we do not know, cannot be answered.
func offersDeflate(h http.Header) bool {
	for _, line := range h.Values("Sec-WebSocket-Extensions") {
		for offer := range strings.SplitSeq(line, ",") {
			if answerable(offer) {
				return true
			}
		}
	}
	return false
}

func answerable(offer string) bool {
	name, parameters, _ := strings.Cut(offer, ";")
	if strings.TrimSpace(name) != "permessage-deflate" {
		return false
	}
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, _, _ := strings.Cut(parameter, "=")
		switch strings.TrimSpace(name) {
		case "", "server_no_context_takeover", "client_no_context_takeover", "client_max_window_bits":
		default:
			return false
		}
	}
	return true
}

// flushed ends each compressed message and is left out on the wire; ended follows it where a reader wants an end.
const (
	flushed = "\x00\x00\xff\xff"
	ended   = "\x01\x00\x00\xff\xff"
)

var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil {
		panic(err) // the level is a valid one
	}
	return w
}}

// deflated returns the same frame compressed, or itself where that saves nothing.
func deflated(e *encoded) *encoded {
	var out bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&out)
	_, _ = w.Write(e.packet()) // into memory: cannot fail
	_ = w.Flush()
	payload := bytes.TrimSuffix(out.Bytes(), []byte(flushed))
	if len(payload) >= len(e.packet()) {
		return e
	}
	compressed := encode(e.frame[0]|bitCompressed, "", payload)
	return &compressed
}

var inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}

// inflate appends what a message holds to dst, and stops where that is more than limit.
func inflate(dst, message []byte, limit int) ([]byte, error) {
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	source := io.MultiReader(bytes.NewReader(message), strings.NewReader(flushed+ended))
	if err := r.(flate.Resetter).Reset(source, nil); err != nil {
		return dst, err
	}
	dst, err := readLimited(dst, r, limit)
	switch {
	case errors.Is(err, errTooLarge):
		return dst, violatesLimit
	case err != nil:
		return dst, violatesUTF8 // its code is the one for data that is not what it says it is
	}
	return dst, nil
}
