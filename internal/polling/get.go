// Package polling is the server's end of Engine.IO over HTTP requests: the GETs that wait for an answer and their places, the
// POSTs that arrive, and how answers, the parts of event streams among them, are written. It knows nothing of sessions: the caller's
// lock guards what it keeps for one.
package polling

import (
	"net/http"
	"time"

	"github.com/carillon-io/carillon/internal/frame"
)

// hurryTime is how long an answer that is being written may still take when its session has ended gently.
const hurryTime = 2 * time.Second

// Get is one GET that waits for an answer, and then writes it. The session's lock guards it until Ready is closed; then it
// belongs to its handler.
type Get struct {
	Since time.Duration  // when it sat down
	Batch []*frame.Frame // the answer
	// Refused says that there is no answer: the session's transport is another by now.
	Refused bool
	// Leased says that Batch left the outbox: the session is to be called when it has been written.
	Leased bool

	ready   chan struct{} // closed when the answer is decided
	control *http.ResponseController
	hurried bool // the session's lock guards this one throughout
}

// NewGet makes a GET that w answers.
func NewGet(w http.ResponseWriter) *Get {
	return &Get{ready: make(chan struct{}), control: http.NewResponseController(w)}
}

// NewAnswered makes a GET whose answer is known, and which never sits.
func NewAnswered(w http.ResponseWriter, batch ...*frame.Frame) *Get {
	return &Get{Batch: batch, control: http.NewResponseController(w)}
}

// Ready is closed when the answer is decided.
func (g *Get) Ready() <-chan struct{} { return g.ready }

// Answer decides what g is answered with. It does nothing for a nil g.
func (g *Get) Answer(batch ...*frame.Frame) {
	if g != nil {
		g.Batch = batch
		close(g.ready)
	}
}

// Refuse makes g fail, and with it the client's transport. It does nothing for a nil g.
func (g *Get) Refuse() {
	if g != nil {
		g.Refused = true
		close(g.ready)
	}
}

// Hurry cuts an answer that is being written, at once or when it takes longer than hurryTime. It may be called only while
// the handler runs; the caller holds the session's lock.
func (g *Get) Hurry(cut bool) {
	g.hurried = true
	deadline := time.Now()
	if !cut {
		deadline = deadline.Add(hurryTime)
	}
	_ = g.control.SetWriteDeadline(deadline) // where it is not supported the answer has its own deadline
}

// Bound bounds the time that writing the answer may take, 0 for no bound, unless Hurry has. The caller holds the session's
// lock.
func (g *Get) Bound(d time.Duration) {
	if g.hurried {
		return
	}
	deadline := time.Time{}
	if d > 0 {
		deadline = time.Now().Add(d)
	}
	_ = g.control.SetWriteDeadline(deadline) // where it is not supported the heartbeat decides
}
