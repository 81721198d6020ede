package socketio

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/carillon-io/carillon/internal/recovery"
)

// An answer of ServePeer is a head of two big-endian numbers of 64 bits, a text of JSON, and events: the first number is the length of
// the text, the second one the memory that the events take. So the other server takes no more than it has room for.
const (
	answerHead  = 16
	answerChunk = 32 << 10 // of what is written at a time
	mostText    = 4 << 20  // of the text: names of rooms, what the client sent with its requests, and Data
	textFactor  = 3        // what a text takes while it is decoded, beside itself
)

func writeAnswer(w io.Writer, answer any, events int64) error {
	text, err := json.Marshal(answer)
	if err != nil {
		return fmt.Errorf("socketio: answer to a peer: %w", err)
	}
	head := binary.BigEndian.AppendUint64(nil, uint64(len(text)))
	head = binary.BigEndian.AppendUint64(head, uint64(events)) //nolint:gosec // never negative
	if _, err = w.Write(head); err == nil {
		_, err = w.Write(text)
	}
	return err
}

// readAnswer reads the head and the text of an answer, once there is room for them and the events, whose size it returns.
func readAnswer(ctx context.Context, r io.Reader, memory *recovery.Carry, answer any) (events int64, err error) {
	var head [answerHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, brokenOff(err)
	}
	length, size := binary.BigEndian.Uint64(head[:]), binary.BigEndian.Uint64(head[8:])
	if length > mostText || size > 1<<62 {
		return 0, recovery.FailedMalformed.As(fmt.Errorf("socketio: an answer of %d bytes and events of %d", length, size))
	}
	if err := memory.Grow(ctx, int64(length)*(1+textFactor)+int64(size)); err != nil { //nolint:gosec // bounded above
		return 0, err
	}
	text := make([]byte, length)
	if _, err := io.ReadFull(r, text); err != nil {
		return 0, brokenOff(err)
	}
	return int64(size), recovery.FailedMalformed.As(json.Unmarshal(text, answer)) //nolint:gosec // bounded above
}

// brokenOff is an error of reading an answer, unless it says that the answer is malformed.
func brokenOff(err error) error { return recovery.FailedUnreached.As(err) }

// paced is an answer that a peer has to take without a break: else one that has stopped reading would hold what it is handed over, and
// its session, for as long as its connection stands.
type paced struct {
	http.ResponseWriter

	within time.Duration
	moved  func() // called as the peer takes something; nil: nothing is
	broken bool   // it has not
}

// Write gives the peer time for these bytes.
func (p *paced) Write(b []byte) (int, error) {
	p.deadline(time.Now().Add(p.within))
	n, err := p.ResponseWriter.Write(b)
	if p.broken = err != nil; !p.broken && p.moved != nil {
		p.moved()
	}
	return n, err
}

// Unwrap is for http.ResponseController.
func (p *paced) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// end sends what is left, and leaves the connection to its next request.
func (p *paced) end() {
	if p.broken {
		return
	}
	p.deadline(time.Now().Add(p.within))
	_ = http.NewResponseController(p.ResponseWriter).Flush() // the peer sees what it does not get
	p.deadline(time.Time{})
}

// deadline has no effect where the server of the application's cannot do that.
func (p *paced) deadline(t time.Time) {
	_ = http.NewResponseController(p.ResponseWriter).SetWriteDeadline(t)
}

// span is a context that ends some time after it was begun, or longer as something goes on in it.
type span struct {
	context.Context

	within time.Duration
	timer  *time.Timer
}

// newSpan begins a span. end ends it.
func newSpan(parent context.Context, within time.Duration) (s *span, end func()) {
	ctx, cancel := context.WithCancel(parent)
	s = &span{Context: ctx, within: within, timer: time.AfterFunc(within, cancel)}
	return s, func() {
		s.timer.Stop()
		cancel()
	}
}

// progressEvery is how many bytes give a span more time.
const progressEvery = 4 << 20

// reader reads from r and gives the span more time as it does.
func (s *span) reader(r io.Reader) io.Reader { return &progress{r: r, span: s} }

type progress struct {
	r    io.Reader
	span *span
	read int
}

// Read implements [io.Reader].
func (p *progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if p.read += n; p.read >= progressEvery && p.span.timer.Reset(p.span.within) {
		p.read = 0
	}
	return n, err
}
