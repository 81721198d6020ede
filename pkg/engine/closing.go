package engine

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// Times of closing that the protocol does not set.
const (
	// closeStall is how long the client of a closing WebSocket session may take nothing of what waits for it.
	closeStall = 5 * time.Second
	// closeReply is how long we read on after our Close frame once the client has everything.
	closeReply = 2 * time.Second
	// closeLimit is how long closing may take for a client that makes progress.
	closeLimit = time.Minute
	// closePoll is how long a closing polling session waits for the GET that fetches its end.
	closePoll = 30 * time.Second
)

// patience watches whether the peer of a connection that is being closed takes what waits for it.
type patience struct {
	stall time.Duration // allowed without progress
	until time.Time
	taken uint64
}

func newPatience(stall time.Duration) patience {
	return patience{stall: stall, until: time.Now().Add(closeLimit)}
}

// left is how long to wait before asking again, 0 when there has been no progress since or enough time has passed.
func (p *patience) left(c *wsConn) time.Duration {
	taken, pending := c.taken()
	progress := taken > p.taken
	p.taken = taken
	switch {
	case !progress || time.Now().After(p.until):
		return 0
	case pending:
		return p.stall
	}
	return min(closeReply, p.stall)
}

// closeSocketLocked begins to close a WebSocket session: what is queued and a Close frame have still to be written.
func (s *Session) closeSocketLocked() {
	p := newPatience(s.server.patience)
	s.closing = &p
	s.setDueLocked(s.server.now() + p.stall)
}

// extendClosingLocked gives a closing session more time if its client has made progress.
func (s *Session) extendClosingLocked() bool {
	left := s.closing.left(s.socket)
	if left > 0 {
		s.setDueLocked(s.server.now() + left)
	}
	return left > 0
}

// discard reads until the peer hangs up, or takes and says nothing more.
func (c *wsConn) discard(p patience) {
	p.taken, _ = c.taken()
	for {
		_, err := io.Copy(io.Discard, c.Conn)
		var timeout net.Error
		if err == nil || !errors.As(err, &timeout) || !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		left := p.left(c)
		if left == 0 {
			return
		}
		_ = c.Conn.SetReadDeadline(time.Now().Add(left)) // fails only on a closed connection
	}
}
