package polling

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/frame"
)

// Client is the receiver of an answer.
type Client interface {
	// Progressed notes that the client has taken a part of the answer.
	Progressed()
}

// Format is how the answers to one client look.
type Format struct {
	Codec    *frame.Codec
	JSONP    bool   // answers are JavaScript calls
	Callback string // the index of the function they call
	Compress bool   // in an encoding that the client accepts, where that pays
}

// Write writes the answer as the body of a poll. The error is nil only when all of it was flushed to the connection.
func (g *Get) Write(w http.ResponseWriter, r *http.Request, f Format, client Client) (written int, err error) {
	contentType := "text/plain; charset=UTF-8"
	if f.Codec.Payload(g.Batch) == eioproto.Octets {
		contentType = octetStream
	}
	length := 0
	f.Codec.Encode(g.Batch, func(piece []byte) { length += len(piece) })
	encoding := ""
	if f.Compress && length >= frame.CompressFrom && frame.Compressible(g.Batch) {
		encoding = preferredEncoding(r.Header.Get("Accept-Encoding"))
	}

	var whole []byte // the body, when it cannot be written piece by piece
	if encoding != "" || f.JSONP {
		whole = make([]byte, 0, length)
		f.Codec.Encode(g.Batch, func(piece []byte) { whole = append(whole, piece...) })
		if f.JSONP {
			if whole, err = eioproto.JSONPCall(f.Callback, whole); err != nil {
				return 0, err
			}
		}
		if encoding != "" {
			whole = compressed(encoding, whole)
		}
		length = len(whole)
	}

	h := w.Header()
	setHeaders(h, r)
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(length))
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	out := newCoalescer(client, w)
	if whole != nil {
		out.add(whole)
	} else {
		f.Codec.Encode(g.Batch, out.add)
	}
	if err = out.close(); err == nil {
		err = g.control.Flush()
	}
	if errors.Is(err, http.ErrNotSupported) {
		err = nil // middleware hides Flush: net/http flushes after the handler
	}
	return out.written, err
}

// BeginEvents answers with the head of an event stream.
func BeginEvents(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // else nginx holds small answers back
	return http.NewResponseController(w).Flush()
}

// WriteEvents writes the answer as parts of an event stream.
func (g *Get) WriteEvents(w http.ResponseWriter, c *frame.Codec, client Client) (written int, err error) {
	out := newCoalescer(client, w)
	c.EncodeEvents(g.Batch, out.add)
	if err = out.close(); err == nil {
		err = g.control.Flush()
	}
	return out.written, err
}

// setHeaders sets what each answer has that succeeds.
func setHeaders(h http.Header, r *http.Request) {
	h.Set("Cache-Control", "no-store")
	if agent := r.UserAgent(); strings.Contains(agent, ";MSIE") || strings.Contains(agent, "Trident/") {
		h.Set("X-XSS-Protection", "0") // its filter mangles answers that look like the request
	}
}

// compressor makes one content encoding.
type compressor interface {
	io.WriteCloser
	Reset(w io.Writer)
}

// compressors are by the names that Accept-Encoding has for them.
var compressors = map[string]*sync.Pool{
	"gzip":    {New: func() any { return gzip.NewWriter(nil) }},
	"deflate": {New: func() any { return zlib.NewWriter(nil) }},
}

func compressed(encoding string, body []byte) []byte {
	pool := compressors[encoding]
	z := pool.Get().(compressor)
	defer pool.Put(z)
	var out bytes.Buffer
	z.Reset(&out)
	_, _ = z.Write(body) // into memory: cannot fail
	_ = z.Close()
	return out.Bytes()
}

// preferredEncoding picks gzip or deflate by an Accept-Encoding header: the heavier one, then the one named first. What a
// star stands for comes after what is named. Empty: neither is acceptable.
func preferredEncoding(header string) string {
	best, most := "", 0.0
	star, named := 0.0, map[string]bool{}
	for offer := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(offer, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		weight := weightOf(parameters)
		switch {
		case name == "*":
			star = weight
		case compressors[name] == nil:
		default:
			named[name] = true
			if weight > most {
				best, most = name, weight
			}
		}
	}
	for _, name := range []string{"gzip", "deflate"} {
		if !named[name] && star > most {
			best, most = name, star
		}
	}
	return best
}

// weightOf reads the q of an offer; 1 where it has none that can be read.
func weightOf(parameters string) float64 {
	_, weight, _ := strings.Cut(strings.ReplaceAll(parameters, " ", ""), "q=")
	if q, err := strconv.ParseFloat(weight, 64); err == nil {
		return q
	}
	return 1
}
