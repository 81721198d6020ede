package engine

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// compressFrom is the length from which a poll answer is worth compressing.
const compressFrom = 1024

var compressors = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// answer writes one batch as the body of a poll. It returns nil only when all of it was flushed to the connection.
func (s *Session) answer(w http.ResponseWriter, r *http.Request, p *poll) error {
	c := &s.codec
	contentType := "text/plain; charset=UTF-8"
	if c.octets(p.batch) {
		contentType = "application/octet-stream"
	}
	length, messages := 0, false
	c.encode(p.batch, func(piece []byte) { length += len(piece) })
	for _, f := range p.batch {
		messages = messages || f.kind == packetMessage
	}
	compress := s.server.config.CompressPolling && messages && length >= compressFrom &&
		acceptsGzip(r.Header.Get("Accept-Encoding"))

	var whole []byte // the body, when it cannot be written piece by piece
	if compress || c.jsonp {
		whole = make([]byte, 0, length)
		c.encode(p.batch, func(piece []byte) { whole = append(whole, piece...) })
		if c.jsonp {
			var err error
			if whole, err = jsonpCall(c.callback, whole); err != nil {
				return err
			}
		}
		if compress {
			whole = compressed(whole)
		}
		length = len(whole)
	}

	h := w.Header()
	pollingHeaders(h, r)
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(length))
	if compress {
		h.Set("Content-Encoding", "gzip")
	}
	out := newCoalescer(w)
	if whole != nil {
		out.add(whole)
	} else {
		c.encode(p.batch, out.add)
	}
	err := out.close()
	if err == nil {
		err = p.control.Flush()
	}
	if err != nil {
		s.server.dropped(dropFailed, messagesIn(p.batch))
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

func compressed(body []byte) []byte {
	var out bytes.Buffer
	z := compressors.Get().(*gzip.Writer)
	defer compressors.Put(z)
	z.Reset(&out)
	_, _ = z.Write(body) // into memory: cannot fail
	_ = z.Close()
	return out.Bytes()
}

// acceptsGzip reads an Accept-Encoding header.
func acceptsGzip(header string) bool {
	for offer := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(offer, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name != "gzip" && name != "*" {
			continue
		}
		_, weight, _ := strings.Cut(strings.ReplaceAll(parameters, " ", ""), "q=")
		q, err := strconv.ParseFloat(weight, 64)
		return err != nil || q > 0
	}
	return false
}
