package api

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// maxHeld bounds the memory of bodies of requests that are being worked on, all together, unless one may be larger still.
const maxHeld = 128 << 20

// firstPiece is how much is read of a body before anything is known of its length.
const firstPiece = 4 << 10

// bodies counts the memory of bodies.
type bodies struct {
	patience time.Duration // for one body; static
	most     int64         // bytes; static
	held     atomic.Int64
}

// read returns a body of at most limit bytes; release gives its memory back. Memory is taken as the body arrives, so what a
// request says of its length costs nothing.
func (b *bodies) read(w http.ResponseWriter, r *http.Request, limit int) (body []byte, release func(), refused answer) {
	taken := int64(0)
	release = func() { b.held.Add(-taken) }
	take := func(n int) bool {
		taken += int64(n)
		return b.held.Add(int64(n)) <= b.most
	}
	if r.ContentLength > int64(limit) {
		return nil, release, tooLarge(limit)
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(b.patience)) // fails only where there is no connection
	size := firstPiece
	for {
		size = min(size, limit+1)
		if !take(size - cap(body)) {
			return nil, release, refuse(http.StatusServiceUnavailable, codeOverloaded, "too many large requests at once")
		}
		grown := make([]byte, len(body), size)
		copy(grown, body)
		body = grown
		n, err := io.ReadFull(r.Body, body[len(body):size])
		body = body[:len(body)+n]
		switch {
		case len(body) > limit:
			return nil, release, tooLarge(limit)
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && complete(r, len(body)):
			return body, release, answer{}
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, release, refuse(http.StatusRequestTimeout, codeTooSlow, "the body did not arrive within "+b.patience.String())
		case err != nil:
			return nil, release, refuse(http.StatusBadRequest, codeInvalid, "the body ended early")
		}
		size *= 2
	}
}

// complete tells the end of a body, which io.ReadFull reports as an early one, from an early end.
func complete(r *http.Request, n int) bool { return r.ContentLength < 0 || int64(n) == r.ContentLength }
