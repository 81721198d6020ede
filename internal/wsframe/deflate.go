package wsframe

import (
	"bytes"
	"compress/flate"
	"io"
	"strconv"
	"strings"
	"sync"
)

// permessage-deflate without context takeover: each message is compressed for itself, so that one result serves all its
// recipients and an idle connection keeps no state.

// AnswerDeflate returns the value of Sec-WebSocket-Extensions that accepts the first offer of compression that can be
// accepted, among the lines of the client's header; empty when there is none. An offer with a smaller window for us cannot,
// nor one with parameters that RFC 7692 does not know or allow.
func AnswerDeflate(lines []string) string {
	for _, line := range lines {
		for offer := range strings.SplitSeq(line, ",") {
			if answer := answerOffer(offer); answer != "" {
				return answer
			}
		}
	}
	return ""
}

func answerOffer(offer string) string {
	name, parameters, _ := strings.Cut(offer, ";")
	if strings.TrimSpace(name) != "permessage-deflate" {
		return ""
	}
	answer := "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	seen := map[string]bool{}
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, valued := strings.Cut(parameter, "=")
		name, value = strings.TrimSpace(name), strings.Trim(strings.TrimSpace(value), `"`)
		switch {
		case name == "" && !valued:
			continue
		case seen[name]:
			return ""
		case (name == "server_no_context_takeover" || name == "client_no_context_takeover") && !valued:
		case name == "client_max_window_bits" && (!valued || windowBits(value)):
		case name == "server_max_window_bits" && value == "15": // what our compressor has
			answer += "; server_max_window_bits=15"
		default:
			return ""
		}
		seen[name] = true
	}
	return answer
}

// windowBits reports whether value is one that RFC 7692 allows.
func windowBits(value string) bool {
	n, err := strconv.Atoi(value)
	return err == nil && n >= 8 && n <= 15 && strconv.Itoa(n) == value
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
