package polling

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// discardLimit and discardTime bound how much of a refused body is read, and for how long. It is read so that the refusal reaches
	// a client that sends all of its body before it reads.
	discardLimit = 8 << 20
	discardTime  = 10 * time.Second

	// bodyTime is how long a body may take to arrive, as with Node's engine.io 6.6.13.
	bodyTime = 30 * time.Second

	octetStream = "application/octet-stream"
)

// ErrTooLarge: the body is longer than the limit.
var ErrTooLarge = errors.New("polling: message exceeds the limit")

// Counter counts memory that holds what clients have sent.
type Counter interface{ Add(bytes int) }

// Post is one POST. The session's lock guards it.
type Post struct {
	r         *http.Request
	control   *http.ResponseController
	counter   Counter
	held      atomic.Int64 // bytes that are counted; changed by Swap alone
	receiving bool         // its body is arriving
	cut       bool
}

// NewPost makes a POST whose body may take bodyTime to arrive.
func NewPost(w http.ResponseWriter, r *http.Request, counter Counter) *Post {
	p := &Post{r: r, control: http.NewResponseController(w), counter: counter, receiving: true}
	_ = p.control.SetReadDeadline(time.Now().Add(bodyTime)) // where it is not supported the heartbeat decides
	return p
}

// Octets reports whether the body is of octets, and not of text.
func (p *Post) Octets() bool { return p.r.Header.Get("Content-Type") == octetStream }

// Cut cuts a POST whose body is still arriving. It does nothing for a nil p, and may be called only while the handler runs.
func (p *Post) Cut() {
	if p != nil && p.receiving {
		p.cut = true
		_ = p.control.SetReadDeadline(time.Unix(1, 0)) // where it is not supported the body ends by itself
	}
}

// Received notes that nothing more of the body is wanted. It reports whether the POST was cut before.
func (p *Post) Received() (cut bool) {
	p.receiving = false
	return p.cut
}

// Held is how many bytes of memory are counted for the body; of a nil p there are none.
func (p *Post) Held() int {
	if p == nil {
		return 0
	}
	return int(p.held.Load())
}

// charge counts the memory that holds the body.
func (p *Post) charge(bytes int) { p.counter.Add(bytes - int(p.held.Swap(int64(bytes)))) }

// Discount stops counting the memory of a POST that was cut, before its handler has let go of it. It does nothing for a nil p.
func (p *Post) Discount() {
	if p != nil {
		p.charge(0)
	}
}

const (
	// bodyBuffer is the size of the buffer that a body is first read into.
	bodyBuffer = 4 << 10
	// keepBuffer is the largest buffer kept for reuse.
	keepBuffer = 64 << 10
)

var bodyBuffers = sync.Pool{New: func() any {
	b := make([]byte, 0, bodyBuffer)
	return &b
}}

// Read reads the body, of limit bytes at most, and hands it to handle, which must not keep it, with how many bytes were read and what
// reading ended with: nil, ErrTooLarge, or an error of the connection. A body that is too large is given up before: handle gets
// nil for it, since Discard may take long and the next POST of the session may begin meanwhile.
func (p *Post) Read(limit int, handle func(body []byte, read int, err error)) {
	buffer := bodyBuffers.Get().(*[]byte)
	body, err := readLimited((*buffer)[:0], p.r.Body, limit, p.charge)
	*buffer = body
	read := len(body)
	if errors.Is(err, ErrTooLarge) {
		body = nil
		p.giveUp(buffer)
	} else {
		defer p.giveUp(buffer)
	}
	if err == nil {
		_ = p.control.SetReadDeadline(time.Time{}) // net/http watches the connection while the packets are handled
	}
	handle(body, read, err)
}

// giveUp stops counting the memory of the body, and keeps a small buffer for reuse.
func (p *Post) giveUp(buffer *[]byte) {
	p.charge(0)
	if cap(*buffer) <= keepBuffer {
		bodyBuffers.Put(buffer)
	}
}

// Discard reads on of a body that is too large, within bounds.
func (p *Post) Discard() {
	_ = p.control.SetReadDeadline(time.Now().Add(discardTime)) // where it is not supported the length decides
	_, _ = io.CopyN(io.Discard, p.r.Body, discardLimit)        // whatever comes of it
}

// WriteOK answers a POST whose packets were handled.
func WriteOK(w http.ResponseWriter, r *http.Request) {
	setHeaders(w.Header(), r)
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Content-Length", strconv.Itoa(len("ok")))
	_, _ = io.WriteString(w, "ok") // a client that is gone is found by the heartbeat
}

// readLimited appends all of r to dst. It returns ErrTooLarge when there is more than limit, of which it reads one byte. It
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
			return dst, ErrTooLarge
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
}
