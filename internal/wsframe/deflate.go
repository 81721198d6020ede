package wsframe

import (
	"bytes"
	"compress/flate"
	"io"
	"strings"
	"sync"
)

// permessage-deflate without context takeover: each message is compressed for itself, so that one result serves all its
// recipients and an idle connection keeps no state.

// OffersDeflate reports whether the lines of a client's Sec-WebSocket-Extensions hold an offer that can be accepted. One
// with a smaller window for us, or with a parameter that we do not know, cannot.
func OffersDeflate(lines []string) bool {
	for _, line := range lines {
		for offer := range strings.SplitSeq(line, ",") {
			if acceptable(offer) {
				return true
			}
		}
	}
	return false
}

func acceptable(offer string) bool {
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

// Deflate returns a message compressed; nil where that saves nothing.
func Deflate(message []byte) []byte {
	var out bytes.Buffer
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(&out)
	_, _ = w.Write(message) // into memory: cannot fail
	_ = w.Flush()
	payload := bytes.TrimSuffix(out.Bytes(), []byte(flushed))
	if len(payload) >= len(message) {
		return nil
	}
	return payload
}

var inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}

// Inflate appends what a compressed message holds to dst. It stops where that is more than limit. The error is a Violation.
func Inflate(dst, message []byte, limit int) ([]byte, error) {
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	source := io.MultiReader(bytes.NewReader(message), strings.NewReader(flushed+ended))
	if err := r.(flate.Resetter).Reset(source, nil); err != nil {
		return dst, err
	}
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):min(cap(dst), limit+1)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > limit:
			return dst, TooLarge
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, NotUTF8 // its code is the one for data that is not what it says it is
		}
	}
}
