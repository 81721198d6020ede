//go:build linux

package load

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"unicode/utf8"
)

// separator stands between the packets of a body in Engine.IO 4.
const separator = 0x1e

// poll begins the next GET.
func (w *worker) poll(c *client) {
	if c.stage == clientClosed {
		return
	}
	if c.s.state == socketClosed {
		s, err := w.dial(c, kindGet)
		c.s = s
		if err != nil {
			w.fail(c, err)
			return
		}
	}
	w.request(c, c.s, "GET")
	c.s.out = append(c.s.out, "\r\nAccept: */*\r\n\r\n"...)
	c.s.busy = true
	w.mark(c.s)
}

// request begins a request, as far as the header Host.
func (w *worker) request(c *client, s *socket, method string) {
	t := &w.g.targets[c.target]
	s.out = append(s.out, method...)
	s.out = append(s.out, ' ')
	s.out = append(s.out, t.request...)
	if c.sid != "" {
		s.out = append(s.out, "&sid="...)
		s.out = append(s.out, c.sid...)
	}
	s.out = append(s.out, " HTTP/1.1\r\nHost: "...)
	s.out = append(s.out, t.host...)
}

// maxPost is how long a body may be: servers accept 1,000,000 bytes unless told otherwise.
const maxPost = 900_000

// queue keeps a packet of n bytes for the next POST.
func (w *worker) queue(c *client, n int, pieces [][]byte) {
	switch {
	case w.g.o.EIO == 3:
		c.queued = strconv.AppendInt(c.queued, int64(n), 10)
		c.queued = append(c.queued, ':')
	case len(c.queued) > 0:
		c.queued = append(c.queued, separator)
	}
	for _, p := range pieces {
		c.queued = append(c.queued, p...)
	}
	w.pushPost(c)
}

// postLength is how much of what is queued goes into the next body, and how much of it is done then.
func postLength(queued []byte, eio int) (body, done int) {
	if len(queued) <= maxPost {
		return len(queued), len(queued)
	}
	if eio == 4 {
		if i := bytes.LastIndexByte(queued[:maxPost], separator); i > 0 {
			return i, i + 1
		}
		return len(queued), len(queued)
	}
	for body < len(queued) {
		colon := bytes.IndexByte(queued[body:], ':')
		n, _ := strconv.Atoi(string(queued[body : body+colon]))
		next := body + colon + 1 + n
		if body > 0 && next > maxPost {
			break
		}
		body = next
	}
	return body, body
}

// pushPost sends what is queued unless a POST is under way.
func (w *worker) pushPost(c *client) {
	if len(c.queued) == 0 || c.sid == "" || c.stage == clientClosed {
		return
	}
	if c.post == nil || c.post.state == socketClosed {
		s, err := w.dial(c, kindPost)
		c.post = s
		if err != nil {
			w.fail(c, err)
			return
		}
	}
	s := c.post
	if s.busy {
		return
	}
	w.request(c, s, "POST")
	s.out = append(s.out, "\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: "...)
	body, done := postLength(c.queued, w.g.o.EIO)
	s.out = strconv.AppendInt(s.out, int64(body), 10)
	s.out = append(s.out, "\r\n\r\n"...)
	s.out = append(s.out, c.queued[:body]...)
	c.queued = append(c.queued[:0], c.queued[done:]...)
	s.busy = true
	w.mark(s)
}

// httpInput decodes whole answers and returns what is left over.
func (w *worker) httpInput(s *socket, data []byte) (rest []byte, err error) {
	for len(data) > 0 {
		a, rest, err := parseAnswer(data)
		if err != nil {
			return nil, err
		}
		if rest == nil {
			break
		}
		data = rest
		if a.status != http.StatusOK {
			return nil, fmt.Errorf("HTTP status %d: %.80s", a.status, a.body)
		}
		s.busy = false
		if s.kind == kindGet {
			if err := w.payload(s, a.body); err != nil {
				return nil, err
			}
			if s.state == socketClosed || s != s.c.s {
				return nil, nil // the scenario has ended it
			}
		}
		if a.last {
			w.closeSocket(s, false)
		}
		if s.kind == kindGet {
			w.poll(s.c)
		} else {
			w.pushPost(s.c)
		}
		if s.state == socketClosed {
			return nil, nil
		}
	}
	return data, nil
}

// payload handles the packets of a body.
func (w *worker) payload(s *socket, body []byte) error {
	for len(body) > 0 && s.state != socketClosed {
		var p []byte
		if w.g.o.EIO == 3 {
			colon := bytes.IndexByte(body, ':')
			n, err := strconv.Atoi(string(body[:max(colon, 0)]))
			if err != nil || n < 0 {
				return fmt.Errorf("payload %.80q", body)
			}
			end := colon + 1
			for ; n > 0 && end < len(body); n-- { // lengths count UTF-16 code units
				r, size := utf8.DecodeRune(body[end:])
				if end += size; r > 0xffff {
					n--
				}
			}
			p, body = body[colon+1:end], body[end:]
		} else {
			p, body, _ = bytes.Cut(body, []byte{separator})
		}
		if err := w.packet(s.c, p); err != nil {
			return err
		}
	}
	return nil
}

// answer is one HTTP answer.
type answer struct {
	status int
	body   []byte
	last   bool // the connection is closed behind it
}

// parseAnswer returns the answer that data begins with and what follows it: nil when it is incomplete.
func parseAnswer(data []byte) (a answer, rest []byte, err error) {
	i := bytes.Index(data, []byte("\r\n\r\n"))
	if i < 0 {
		if len(data) > maxHead {
			err = errors.New("the answer's head is too long")
		}
		return answer{}, nil, err
	}
	head, body := data[:i], data[i+4:]
	if len(head) < len("HTTP/1.1 200") {
		return answer{}, nil, errors.New("bad status line")
	}
	if a.status, err = strconv.Atoi(string(head[9:12])); err != nil {
		return answer{}, nil, errors.New("bad status line")
	}
	a.last = bytes.EqualFold(headerValue(head, "connection"), []byte("close"))
	switch length := headerValue(head, "content-length"); {
	case length != nil:
		n, err := strconv.Atoi(string(length))
		if err != nil || n < 0 || n > maxFrame {
			return answer{}, nil, errors.New("bad Content-Length")
		}
		if len(body) < n {
			return answer{}, nil, nil
		}
		a.body, rest = body[:n], body[n:len(body):len(body)]
	case bytes.EqualFold(headerValue(head, "transfer-encoding"), []byte("chunked")):
		if a.body, rest, err = dechunk(body); err != nil {
			return answer{}, nil, err
		}
	default:
		rest = body[:len(body):len(body)]
	}
	return a, rest, nil
}

// headerValue returns the value of a header, nil of none.
func headerValue(head []byte, name string) []byte {
	for len(head) > 0 {
		l := head
		if i := bytes.IndexByte(head, '\n'); i >= 0 {
			l, head = head[:i], head[i+1:]
		} else {
			head = nil
		}
		if len(l) > len(name) && l[len(name)] == ':' && bytes.EqualFold(l[:len(name)], []byte(name)) {
			return bytes.TrimSpace(l[len(name)+1:])
		}
	}
	return nil
}

// dechunk returns a chunked body and what follows it: nil when it is incomplete.
func dechunk(b []byte) (body, rest []byte, err error) {
	for {
		line, after, found := bytes.Cut(b, []byte("\r\n"))
		if !found {
			return nil, nil, nil
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 31)
		if err != nil || n > maxFrame {
			return nil, nil, errors.New("bad size of a chunk")
		}
		if len(after) < int(n)+2 {
			return nil, nil, nil
		}
		if n == 0 {
			return body, after[2:len(after):len(after)], nil
		}
		body = append(body, after[:n]...)
		b = after[n+2:]
	}
}
