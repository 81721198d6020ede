package engine

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/idle"
	"github.com/carillon-io/carillon/internal/wsframe"
)

// kernelBuffer bounds what the kernel holds for a client that does not read; left alone it takes megabytes.
const kernelBuffer = 256 << 10

// wsConn is a hijacked connection after the WebSocket handshake. One goroutine at a time reads from it, none while it is
// parked. What a connection is doing is said by its two states alone, see wsstate.go.
type wsConn struct {
	// Static after the upgrade.
	net.Conn
	socket *idle.Conn    // the same on plain TCP, or what is below TLS on a Listener; else nil
	below  *idle.Records // what is below TLS on a Listener, which socket is then a part of; else nil
	codec  frame.Codec

	// Owned by the reader.
	session  *Session // whose transport this is; nil while it is a candidate, which has no other writer
	in       wsframe.Reader
	run      *readRun      // while the reader has the descriptor: it does not wait for input then
	slot     idle.Slot     // in the poller
	heard    time.Duration // when the last message came
	frequent uint8         // messages in a row that came soon after the one before

	pong []byte // the newest one owed, as a frame. Session.mu guards it

	held atomic.Int64 // bytes that count towards Limits.Inbound; changed by Swap alone

	writeLock sync.Mutex // held across writes

	// mu guards the following. Session.mu may be held when it is taken; only the poller's is taken under it.
	mu      sync.Mutex
	reading readState
	writing writeState
}

// hijacker hands gorilla the connection without what came early, and keeps both.
type hijacker struct {
	http.ResponseWriter
	conn *wsConn
	err  error // of hijacking
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if h.err = err; err != nil {
		return nil, nil, err
	}
	h.conn.Conn, h.conn.socket = conn, idle.NewConn(conn)
	if h.conn.socket != nil {
		h.conn.Conn = h.conn.socket
	} else if above, ok := conn.(interface{ NetConn() net.Conn }); ok {
		if below, ok := above.NetConn().(*idle.Records); ok {
			h.conn.socket, h.conn.below = &below.Conn, below
		}
	}
	h.conn.in.Resident = h.conn.socket == nil
	// gorilla refuses clients that speak before the 101; the protocol does not.
	if n := buffers.Reader.Buffered(); n > 0 {
		early, _ := buffers.Reader.Peek(n) // buffered: cannot fail
		h.conn.in.Feed(early)
		_, _ = buffers.Reader.Discard(n)
	}
	if tcp, ok := h.conn.inner().(tcpConn); ok {
		_ = tcp.SetWriteBuffer(kernelBuffer) // without it the kernel's own limit holds
	}
	return conn, buffers, nil
}

// bare reports whether frames are read from and written to the descriptor itself.
func (c *wsConn) bare() bool { return c.socket != nil && c.below == nil }

// tcpConn is an *idle.Conn, a *net.TCPConn, or what a listener made of one to count it.
type tcpConn interface {
	net.Conn
	SetLinger(seconds int) error
	SetWriteBuffer(bytes int) error
	CloseRead() error
	CloseWrite() error
}

// inner is the connection below TLS and whatever else wraps it.
func (c *wsConn) inner() net.Conn {
	if c.socket != nil {
		return c.socket
	}
	inner := c.Conn
	for {
		wrapped, ok := inner.(interface{ NetConn() net.Conn })
		if !ok {
			return inner
		}
		inner = wrapped.NetConn()
	}
}

// past is a deadline that interrupts a read.
var past = time.Unix(1, 0)

// onLocked applies an event to the reading side. It reports whether the event meant anything; was is the state before.
func (c *wsConn) onLocked(e readEvent) (was readState, ok bool) {
	was = c.reading
	c.reading, ok = was.on(e)
	return was, ok
}

// park ends the reader until something arrives. After true the caller, the reader, does nothing more with c. After false it
// has to wait itself.
func (c *wsConn) park() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.reading.on(readPark); !ok {
		return false
	}
	if !c.sleepLocked() {
		return false
	}
	c.onLocked(readPark)
	return true
}

// sleepLocked waits for input, asleep unless something is being written.
func (c *wsConn) sleepLocked() bool {
	poller := c.session.server.idle
	poller.Sleep(&c.slot, c.socket)
	return poller.Arm(&c.slot, c.socket, c, idle.Input)
}

// sleepOn makes a connection sleep that was parked, awake, while a write was under way.
func (c *wsConn) sleepOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading == readParked && c.socket.Awake() && !c.sleepLocked() {
		c.onLocked(readWake)
		go c.session.read()
	}
}

// stay makes the end of the stream interrupt the reader, which may then wait without looking for it. It returns false when
// that cannot be done.
func (c *wsConn) stay() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.reading.on(readStay); !ok || !c.session.server.idle.Arm(&c.slot, c.socket, c, idle.Hangup) {
		return false
	}
	c.onLocked(readStay)
	return true
}

// rest makes the reader park when it finds nothing more.
func (c *wsConn) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onLocked(readRest)
}

// busy reports whether the reader stays when it finds nothing more.
func (c *wsConn) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reading == readBusy
}

// Wake starts a reader for a connection that is parked, and interrupts one that stays. It is the poller's to call.
func (c *wsConn) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch was, ok := c.onLocked(readWake); {
	case !ok:
	case was == readParked:
		go c.session.read()
	default:
		_ = c.Conn.SetReadDeadline(past) // fails only on a closed connection
	}
}

// resume lets a reader go on that Wake has interrupted. It returns false when the session has ended.
func (c *wsConn) resume() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reading != readWaiting {
		return false
	}
	c.frequent = 0
	_ = c.Conn.SetReadDeadline(time.Time{}) // fails only on a closed connection
	return true
}

// end makes the reader take no more messages, and linger. It does nothing once the reader does.
func (c *wsConn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	was, ok := c.onLocked(readEnd)
	if !ok {
		return
	}
	_ = c.Conn.SetReadDeadline(past) // fails only on a closed connection
	if was == readParked {
		go c.session.read()
	}
}

// cut ends the connection without waiting for anything: what a blocked writer or TLS still has to say, and what the kernel
// holds, is lost.
func (c *wsConn) cut() {
	c.mu.Lock()
	was, ok := c.onLocked(readCut)
	c.mu.Unlock()
	if !ok {
		return
	}
	inner := c.inner()
	if tcp, ok := inner.(tcpConn); ok {
		_ = tcp.SetLinger(0) // fails only on a closed connection
		shutDown(tcp)        // Close waits for a reader inside RawConn.Read, which may be inside a Receiver
	}
	_ = inner.Close() // nothing can be done about a failure
	if was == readParked {
		go c.session.read()
	}
}

// shutDown ends both directions for the peer.
func shutDown(tcp tcpConn) {
	_ = tcp.CloseWrite() // fails on a connection that is over
	_ = tcp.CloseRead()
}

// startClose says that a Close frame is about to be written. Only the first caller gets true.
func (c *wsConn) startClose() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	next, ok := c.writing.on(writeClose)
	c.writing = next
	return ok
}

// mayQueue reports whether frames may still be queued: not behind a Close frame.
func (c *wsConn) mayQueue() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writing == writeOpen
}

// mayWrite reports whether the holder of writeLock may write.
func (c *wsConn) mayWrite() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writing == writeOpen || c.writing == writeClosing
}

// wrote notes the outcome of a write, the last one when it ended in a Close frame. The caller holds writeLock.
func (c *wsConn) wrote(w *flusher, last bool, err error) {
	e := writeLast
	switch {
	case err != nil:
		e = writeFailed
	case !last:
		return
	}
	c.mu.Lock()
	c.writing, _ = c.writing.on(e)
	c.mu.Unlock()
	if e == writeLast {
		c.closeWrite(w)
	}
}

// closeWrite tells the peer that nothing follows, so that it hangs up once it has answered our Close frame.
func (c *wsConn) closeWrite(w *flusher) {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return
	}
	_ = half.CloseWrite() // a peer that is gone is found by the reader
	if c.resting() {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(closeStall)) // TLS has set one that is over
		_ = c.flushRest(w)
	}
}

// linger is the reader's last act: the Close frame unless there was one, and reading on until the peer has hung up. Closing
// a socket with unread input makes the kernel reset it, and the peer would lose what it has not read yet.
func (c *wsConn) linger(readErr error) {
	if c.below != nil {
		defer c.below.Forget() // when it is closed
	}
	c.in.Release()
	c.charge()
	p := newPatience(closeStall)
	deadline := time.Now().Add(closeReply)
	c.mu.Lock()
	c.onLocked(readEnd)
	gone := c.reading == readGone
	_ = c.Conn.SetReadDeadline(deadline) // fails only on a closed connection
	c.mu.Unlock()
	if gone {
		return
	}

	_ = c.Conn.SetWriteDeadline(deadline) // for a writer that is blocked now, too
	c.writeLock.Lock()
	if c.mayWrite() {
		c.wrote(retired, true, c.write(c.closeFrame(readErr)))
	}
	c.writeLock.Unlock()

	c.mu.Lock()
	broken := c.writing == writeBroken
	c.mu.Unlock()
	if broken {
		c.cut()
		return
	}
	if code := wsframe.CloseCode(0); !errors.As(readErr, &code) {
		c.discard(p)
	}
	_ = c.Conn.Close() // nothing can be done about a failure
}
