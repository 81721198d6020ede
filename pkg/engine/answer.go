package engine

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
	"github.com/carillon-io/carillon/internal/wsconn"
)

// writeAnswer writes one batch as the body of a poll. It returns nil only when all of it was flushed to the connection.
func (s *Session) writeAnswer(w http.ResponseWriter, r *http.Request, p *poll) error {
	c := &s.codec
	contentType := "text/plain; charset=UTF-8"
	if c.Payload(p.batch) == eioproto.Octets {
		contentType = "application/octet-stream"
	}
	length := 0
	c.Encode(p.batch, func(piece []byte) { length += len(piece) })
	encoding := ""
	if s.server.config.CompressPolling && length >= frame.CompressFrom && frame.Compressible(p.batch) {
		encoding = preferredEncoding(r.Header.Get("Accept-Encoding"))
	}

	var whole []byte // the body, when it cannot be written piece by piece
	if encoding != "" || s.polling.jsonp {
		whole = make([]byte, 0, length)
		c.Encode(p.batch, func(piece []byte) { whole = append(whole, piece...) })
		if s.polling.jsonp {
			var err error
			if whole, err = eioproto.JSONPCall(s.polling.callback, whole); err != nil {
				return err
			}
		}
		if encoding != "" {
			whole = compressed(encoding, whole)
		}
		length = len(whole)
	}

	h := w.Header()
	pollingHeaders(h, r)
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(length))
	if encoding != "" {
		h.Set("Content-Encoding", encoding)
	}
	out := newCoalescer(s, w)
	if whole != nil {
		out.add(whole)
	} else {
		c.Encode(p.batch, out.add)
	}
	err := out.close()
	if err == nil {
		err = p.control.Flush()
	}
	if err != nil && !errors.Is(err, http.ErrNotSupported) { // middleware hides Flush: net/http flushes after the handler
		return err
	}
	s.server.metrics.written(transportPolling, p.batch, out.written)
	return nil
}

// pollingHeaders are on each answer of the polling transport that succeeds.
func pollingHeaders(h http.Header, r *http.Request) {
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

// largest is how much one call writes where its progress cannot be seen from outside.
const largest = 64 << 10

var answerChunks = sync.Pool{New: func() any { return new([wsconn.Chunk]byte) }}

// coalescer writes many small pieces in few writes, and large ones in parts, each of which is progress of the session's client.
type coalescer struct {
	session *Session
	w       io.Writer
	buffer  *[wsconn.Chunk]byte
	used    int
	written int
	err     error
}

func newCoalescer(s *Session, w io.Writer) coalescer {
	return coalescer{session: s, w: w, buffer: answerChunks.Get().(*[wsconn.Chunk]byte)}
}

// add takes a piece over. It does not keep p.
func (c *coalescer) add(p []byte) {
	if len(p) > wsconn.Chunk-c.used {
		c.flush()
	}
	if len(p) >= wsconn.Chunk {
		c.write(p)
		return
	}
	c.used += copy(c.buffer[c.used:], p)
}

func (c *coalescer) flush() {
	if c.used > 0 {
		c.write(c.buffer[:c.used])
		c.used = 0
	}
}

func (c *coalescer) write(p []byte) {
	for len(p) > 0 && c.err == nil {
		part := p[:min(len(p), largest)]
		var n int
		n, c.err = c.w.Write(part)
		c.written += n
		p = p[len(part):]
		c.session.progressed()
	}
}

// close writes the rest and gives the buffer back.
func (c *coalescer) close() error {
	c.flush()
	answerChunks.Put(c.buffer)
	return c.err
}
