package engine

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carillon-io/carillon/internal/eioproto"
)

const (
	// discardLimit and discardTime bound what is read of a body that was refused, so that the refusal reaches a client
	// that sends before it reads.
	discardLimit = 8 << 20
	discardTime  = 10 * time.Second

	// bodyTime is how long a body may take to arrive, as with Node's engine.io 6.6.13.
	bodyTime = 30 * time.Second

	octetStream = "application/octet-stream"
)

// post is one POST. Session.mu guards it.
type post struct {
	session   *Session
	control   *http.ResponseController
	held      atomic.Int64 // bytes that count towards Limits.Inbound; changed by Swap alone
	receiving bool         // its body is arriving
	cut       bool         // by us
}

// cutPost cuts a POST whose body is still arriving. It may be called only while the handler runs.
func (p *polling) cutPost() {
	if p != nil && p.posting != nil && p.posting.receiving {
		p.posting.cut = true
		_ = p.posting.control.SetReadDeadline(time.Unix(1, 0)) // where it is not supported the body ends by itself
	}
}

// servePost handles the packets of a POST.
func (s *Session) servePost(w http.ResponseWriter, r *http.Request) {
	p := &post{session: s, control: http.NewResponseController(w), receiving: true}
	_ = p.control.SetReadDeadline(time.Now().Add(bodyTime)) // where it is not supported the heartbeat decides
	if s.refuses(w, r, s.startPost(p)) {
		return
	}
	octets := r.Header.Get("Content-Type") == octetStream
	if octets && s.codec.Revision == 4 {
		s.stopPost(p)
		s.end(TransportError, cause("a binary POST from a client of revision 4"))
		w.WriteHeader(http.StatusBadRequest)
		return
	}

	body := readBuffers.Get().(*[]byte)
	defer release(body)
	defer p.charge(0)
	var err error
	*body, err = readLimited((*body)[:0], r.Body, s.server.config.MaxPayload, p.charge)
	s.server.metrics.bytesIn[transportPolling].Add(float64(len(*body)))
	switch {
	case errors.Is(err, errTooLarge):
		s.stopPost(p)
		_ = p.control.SetReadDeadline(time.Now().Add(discardTime)) // where it is not supported the length decides
		_, _ = io.CopyN(io.Discard, r.Body, discardLimit)          // whatever comes of it
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		if !s.stopPost(p) {
			s.end(TransportError, err)
		}
		panic(http.ErrAbortHandler)
	}

	_ = p.control.SetReadDeadline(time.Time{}) // net/http watches the connection while the packets are handled
	if !s.deliverPost(p, *body, octets) {
		s.server.refuse(w, r, false, faultSwitched)
		return
	}
	pollingHeaders(w.Header(), r)
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Content-Length", strconv.Itoa(len("ok")))
	_, _ = io.WriteString(w, "ok") // a client that is gone is found by the heartbeat
}

func (s *Session) startPost(p *post) verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expireLocked()
	switch {
	case s.state == stateClosed:
		return unknownSession
	case s.socket != nil:
		return otherTransport
	case s.polling.posting != nil:
		s.endLocked(TransportError, cause("a POST while another arrives"))
		return overlapping
	}
	s.polling.posting = p
	return accepted
}

// stopPost makes room for the next POST. It reports whether this one was cut by us.
func (s *Session) stopPost(p *post) (cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.receiving = false
	s.polling.posting = nil
	return p.cut
}

// deliverPost hands on what a body holds, all of it before the client is answered, or the `5` it sends then could
// overtake. It reports false when the session has switched to another transport while the body arrived.
func (s *Session) deliverPost(p *post, body []byte, octets bool) bool {
	s.mu.Lock()
	p.receiving = false
	switched := s.socket != nil
	// Taken under mu, so that it comes before the reader of a transport that takes over now. Else only finish may hold
	// it, when the session is over and its packets are not wanted.
	deliver := !switched && s.inbound.TryLock()
	s.mu.Unlock()
	defer s.stopPost(p)
	if !deliver {
		return !switched
	}
	defer s.inbound.Unlock()
	if s.polling.jsonp {
		var found bool
		if body, found = eioproto.JSONPBody(body); !found {
			return true
		}
	}
	if err := s.codec.Revision.Decode(body, octets && !s.polling.jsonp, s.receive); err != nil {
		s.end(ParseError, err)
	}
	return true
}

const (
	// readBuffer is what a message is first read into.
	readBuffer = 4 << 10
	// keepBuffer is the largest buffer kept for reuse.
	keepBuffer = 64 << 10
)

var readBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, readBuffer)
	return &b
}}

var errTooLarge = errors.New("engine: message exceeds the limit")

// release gives a buffer back.
func release(b *[]byte) {
	if cap(*b) <= keepBuffer {
		readBuffers.Put(b)
	}
}

// readLimited appends all of r to dst. What is longer than limit is errTooLarge, read no further than one byte beyond. It
// calls grown with the memory that dst takes, first and whenever it has grown.
func readLimited(dst []byte, r io.Reader, limit int, grown func(bytes int)) ([]byte, error) {
	grown(cap(dst))
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
			grown(cap(dst))
		}
		room := dst[len(dst):min(cap(dst), limit+1)]
		n, err := r.Read(room)
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > limit:
			return dst, errTooLarge
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}
