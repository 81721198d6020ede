package wsconn

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/carillon-io/carillon/internal/wsframe"
)

// Times of the closing handshake that the protocol does not set.
const (
	// Stall is how long a connection that is being closed is kept while its client acknowledges none of the bytes sent to it.
	Stall = 5 * time.Second
	// Reply is how long we read on after our Close frame once the client has everything.
	Reply = 2 * time.Second
	// limit is how long closing may take for a client that makes progress.
	limit = time.Minute
)

// Patience decides how long a connection that is being closed is kept: as long as its peer goes on acknowledging the bytes sent to it,
// within limit.
type Patience struct {
	Stall time.Duration // allowed without progress
	until time.Time
	acked uint64
}

// NewPatience begins to watch.
func NewPatience(stall time.Duration) Patience {
	return Patience{Stall: stall, until: time.Now().Add(limit)}
}

// Note makes progress count from now on.
func (p *Patience) Note(c *Conn) { p.acked, _ = c.Acked() }

// Left is how long to wait before asking again, 0 when there has been no progress since or enough time has passed.
func (p *Patience) Left(c *Conn) time.Duration {
	acked, pending := c.Acked()
	progress := acked > p.acked
	p.acked = acked
	switch {
	case !progress || time.Now().After(p.until):
		return 0
	case pending:
		return p.Stall
	}
	return min(Reply, p.Stall)
}

// Linger is the reader's last act: the Close frame unless there was one, and reading on until the peer has hung up. Closing
// a socket with unread input makes the kernel reset it, and the peer would lose what it has not read yet. err is what ended
// the reading; nil: the server ends it.
func (c *Conn) Linger(err error) {
	defer c.acceptor.poller.Remove(&c.slot)
	if c.below != nil {
		defer c.closedTLS()
	}
	c.in.Release()
	c.charge()
	p := NewPatience(Stall)
	deadline := time.Now().Add(Reply)
	c.mu.Lock()
	c.onLocked(readEnd)
	gone := c.reading == readGone
	_ = c.conn.SetReadDeadline(deadline) // fails only on a closed connection
	c.mu.Unlock()
	if gone {
		return
	}

	c.SetWriteDeadline(deadline) // for a writer that is blocked now, too
	c.writeLock.Lock()
	if c.mayWrite() {
		c.wrote(Blocking, true, c.write(c.closeFrame(err)))
	}
	c.writeLock.Unlock()

	c.mu.Lock()
	broken := c.writing == writeBroken
	c.mu.Unlock()
	if broken {
		c.Cut()
		return
	}
	if code := wsframe.CloseCode(0); !errors.As(err, &code) {
		c.discard(p)
	}
	_ = c.conn.Close() // nothing can be done about a failure
}

// closedTLS counts out what TLS held, both ways, on a connection that is closed.
func (c *Conn) closedTLS() {
	c.below.Forget()
	c.Discount()
}

// closeFrame returns the Close frame for a reader that ended with err, and the frames that the owner sends before it. A Close frame is
// answered with its own code, a violation with its number. Otherwise the owner chooses the code.
func (c *Conn) closeFrame(err error) []byte {
	var code wsframe.CloseCode
	var v wsframe.Violation
	switch {
	case errors.As(err, &code):
		return wsframe.AppendClose(nil, code, "")
	case errors.As(err, &v):
		code = wsframe.CloseCode(v)
	}
	if c.owner == nil {
		return wsframe.AppendClose(nil, code, "")
	}
	return c.owner.Farewell(code)
}

// discard reads until the peer hangs up, or takes and says nothing more.
func (c *Conn) discard(p Patience) {
	p.Note(c)
	for {
		_, err := io.Copy(io.Discard, c.conn)
		var timeout net.Error
		if err == nil || !errors.As(err, &timeout) || !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		left := p.Left(c)
		if left == 0 {
			return
		}
		_ = c.conn.SetReadDeadline(time.Now().Add(left)) // fails only on a closed connection
	}
}
