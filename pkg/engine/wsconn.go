package engine

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/carillon-io/carillon/internal/idle"
	"github.com/carillon-io/carillon/internal/wsframe"
)

// kernelBuffer bounds what the kernel holds for a client that does not read; left alone it takes megabytes.
const kernelBuffer = 256 << 10

var errCloseSent = errors.New("engine: write after the Close frame")

// wsConn is a hijacked connection after the WebSocket handshake. One goroutine at a time reads from it, none while it is
// parked.
type wsConn struct {
	// Static after the upgrade.
	net.Conn
	raw   syscall.RawConn // the same on plain TCP; else nil
	codec codec

	// Owned by the reader.
	session  *Session // whose transport this is; nil while it is a candidate, and nobody else writes
	in       wsframe.Reader
	last     time.Duration // when the last message came
	frequent uint8         // messages in a row that came soon after the one before
	turn     *turn         // while the reader has the descriptor, and does not wait for input
	drained  bool          // the last read took all there was
	watching bool          // the end of the stream interrupts the reader
	staying  bool          // it could not be parked, and waits for good

	// Session.mu guards the following.
	pong        []byte // the newest one owed, as a frame
	closeQueued bool

	// writing is held across writes and guards the following.
	writing   sync.Mutex
	closeSent bool
	broken    bool // a write failed, perhaps in mid-frame

	// ending guards the following.
	ending      sync.Mutex
	parked      bool // nobody reads: the poller starts a reader when something arrives, or Wake
	watched     bool // the poller interrupts the reader when the peer hangs up
	interrupted bool // not to be parked any more
	lingering   bool
	killed      bool
	slot        idle.Slot
}

// hijacker hands gorilla the connection without what came early, and keeps both.
type hijacker struct {
	http.ResponseWriter
	conn *wsConn
}

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.conn.Conn, h.conn.raw = conn, newRawConn(conn)
	h.conn.in.Resident = h.conn.raw == nil
	// gorilla refuses clients that speak before the 101; the protocol does not.
	if n := buffers.Reader.Buffered(); n > 0 {
		early, _ := buffers.Reader.Peek(n) // buffered: cannot fail
		h.conn.in.Feed(early)
		_, _ = buffers.Reader.Discard(n)
	}
	if tcp, ok := h.conn.inner().(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(kernelBuffer) // without it the kernel's own limit holds
	}
	return conn, buffers, nil
}

// inner is the connection below TLS and whatever else wraps it.
func (c *wsConn) inner() net.Conn {
	inner := c.Conn
	for {
		wrapped, ok := inner.(interface{ NetConn() net.Conn })
		if !ok {
			return inner
		}
		inner = wrapped.NetConn()
	}
}

// answerPing owes the peer a pong. A candidate has no outbox to put it in.
func (c *wsConn) answerPing(payload []byte) error {
	pong := wsframe.Append(nil, wsframe.Final|wsframe.Pong, "", payload)
	if c.session == nil {
		return c.send(pong)
	}
	c.session.queuePong(c, pong)
	return nil
}

// send writes one ready-made frame of a connection that has no outbox.
func (c *wsConn) send(frame []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err := c.Conn.Write(frame)
	c.broken = c.broken || err != nil
	return err
}

// writeBatch writes a pong when one is owed, a batch, and a Close frame after it when it is the last. The flusher retires
// before it waits.
func (c *wsConn) writeBatch(w *flusher, pong []byte, batch []*Frame, last bool) (n int, err error) {
	if !c.writing.TryLock() {
		w.retire()
		c.writing.Lock()
	}
	defer c.writing.Unlock()
	if c.closeSent {
		return 0, errCloseSent
	}
	var closing []byte
	if last {
		closing = closeFrame(nil)
	}
	switch {
	case c.raw != nil:
		n, err = c.rawWrite(w, pong, batch, closing)
	case len(batch) == 1 && pong == nil && !last:
		n, err = c.Conn.Write(c.codec.frame(batch[0]).frame)
	default:
		n, err = c.coalesce(pong, batch, closing)
	}
	c.broken = err != nil
	if last && err == nil {
		c.closeSent = true
		c.closeWrite()
	}
	return n, err
}

// coalesce writes a batch to a connection whose descriptor is not to be had.
func (c *wsConn) coalesce(pong []byte, batch []*Frame, closing []byte) (n int, err error) {
	out := newCoalescer(c.Conn)
	out.add(pong)
	for _, f := range batch {
		out.add(c.codec.frame(f).frame)
	}
	out.add(closing)
	err = out.close()
	return out.written, err
}

// closeFrame is the Close frame that answers what ended the reading: a violation its code, a Close frame its own; all
// else closes without one.
func closeFrame(readErr error) []byte {
	var code wsframe.CloseCode
	var v wsframe.Violation
	if errors.As(readErr, &v) {
		code = wsframe.CloseCode(v)
	} else {
		_ = errors.As(readErr, &code)
	}
	return wsframe.AppendClose(nil, code)
}

// reasonFor tells why a session ends whose socket could not be read.
func reasonFor(readErr error) CloseReason {
	if v := wsframe.Violation(0); errors.As(readErr, &v) {
		return TransportError // we refused what it sent
	}
	return TransportClose
}

// closeWrite tells the peer that nothing follows, so that it hangs up once it has answered our Close frame.
func (c *wsConn) closeWrite() {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // a peer that is gone is found by the reader
	}
}

// park ends the reader until something arrives; the caller, the reader, does nothing more with c then. It returns false
// when the reader has to wait itself.
func (c *wsConn) park() bool {
	c.ending.Lock()
	defer c.ending.Unlock()
	c.parked = !c.interrupted && c.session.server.idle.Arm(&c.slot, c.raw, c, idle.Input)
	if c.parked {
		c.watching, c.watched = false, false
	}
	return c.parked
}

// watch makes the end of the stream interrupt the reader; false when that cannot be done.
func (c *wsConn) watch() bool {
	if c.raw == nil {
		return false
	}
	c.ending.Lock()
	defer c.ending.Unlock()
	c.watched = c.session.server.idle.Arm(&c.slot, c.raw, c, idle.Hangup)
	return c.watched
}

// Wake starts a reader for a connection that is parked, or interrupts the one that waits without looking for the end.
func (c *wsConn) Wake() {
	c.ending.Lock()
	defer c.ending.Unlock()
	c.wakeLocked()
}

func (c *wsConn) wakeLocked() {
	switch {
	case c.parked:
		c.parked = false
		go c.session.read()
	case c.watched && !c.lingering:
		c.watched = false
		_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // fails only on a closed connection
	}
}

// resume lets a reader go on that wake has interrupted; false when it was not to go on.
func (c *wsConn) resume() bool {
	c.ending.Lock()
	defer c.ending.Unlock()
	if c.interrupted {
		return false
	}
	c.watching, c.watched = false, false
	_ = c.Conn.SetReadDeadline(time.Time{}) // fails only on a closed connection
	return true
}

// interrupt makes the reader stop reading messages. It does nothing once the reader has.
func (c *wsConn) interrupt() {
	c.ending.Lock()
	defer c.ending.Unlock()
	c.interrupted = true
	if !c.lingering {
		_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // fails only on a closed connection
	}
	c.wakeLocked()
}

// kill cuts the connection without waiting for anything, whatever a blocked writer or TLS still wants to say.
func (c *wsConn) kill() {
	c.ending.Lock()
	c.interrupted, c.killed = true, true
	c.ending.Unlock()
	inner := c.inner()
	if tcp, ok := inner.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails only on a closed connection
	}
	_ = inner.Close() // nothing can be done about a failure
	c.Wake()
}

// finish is the reader's last act: the Close frame unless it was sent, and reading on until the peer has hung up.
func (c *wsConn) finish(readErr error) {
	c.in.Drop()
	deadline := time.Now().Add(closeReply)
	c.ending.Lock()
	c.lingering = true
	killed := c.killed
	_ = c.Conn.SetReadDeadline(deadline) // fails only on a closed connection
	c.ending.Unlock()
	if killed {
		return
	}

	_ = c.Conn.SetWriteDeadline(deadline) // for a writer that is blocked now, too
	c.writing.Lock()
	if !c.closeSent && !c.broken {
		_, err := c.Conn.Write(closeFrame(readErr))
		c.closeSent, c.broken = true, err != nil
		if err == nil { // TLS would try for another five seconds
			c.closeWrite()
		}
	}
	broken := c.broken
	c.writing.Unlock()

	if broken {
		c.kill()
		return
	}
	if code := wsframe.CloseCode(0); !errors.As(readErr, &code) {
		_, _ = io.Copy(io.Discard, c.Conn) // whatever ends it, we are done
	}
	_ = c.Conn.Close() // nothing can be done about a failure
}
