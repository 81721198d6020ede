package engine

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// kernelBuffer bounds what the kernel holds for a client that does not read; left alone it takes megabytes.
const kernelBuffer = 256 << 10

// inputBuffer is enough for most messages of clients; larger reads go straight into the message.
const inputBuffer = 512

// The close codes we send; ordinary closes carry none.
const (
	closeInvalidUTF8 = 1007
	closeTooLarge    = 1009
)

var (
	errTooLarge    = errors.New("engine: message exceeds the limit")
	errInvalidUTF8 = errors.New("engine: text message is not UTF-8")
	errCloseSent   = errors.New("engine: write after the Close frame")
)

// wsConn is a hijacked connection. gorilla does the handshake and reads frames from it; it is gorilla's net.Conn too,
// so that the frames gorilla writes of its own accord do not cut into ours: they are kept for whoever holds the lease.
type wsConn struct {
	// Static after the upgrade.
	net.Conn
	input  *bufio.Reader // what frames reads from
	frames *websocket.Conn
	codec  codec

	// Owned by the reader.
	last       time.Duration // when the last message came
	session    *Session      // whose transport this is; nil while it is a candidate, and nobody else writes
	early      []byte        // what the client sent before our 101
	closeFrame []byte        // how to close, when not without a code

	// Session.mu guards the following.
	pong        []byte // the newest one owed
	closeQueued bool

	// writing is held across writes and guards the following.
	writing   sync.Mutex
	closeSent bool
	broken    bool // a write failed, perhaps in mid-frame

	// ending guards the following.
	ending    sync.Mutex
	lingering bool
	killed    bool
}

// hijacker hands gorilla our wsConn instead of the bare connection.
type hijacker struct {
	http.ResponseWriter
	conn *wsConn
}

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffers, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	// gorilla refuses clients that speak before the 101; the protocol does not.
	if n := buffers.Reader.Buffered(); n > 0 {
		early, _ := buffers.Reader.Peek(n) // buffered: cannot fail
		h.conn.early = bytes.Clone(early)
	}
	h.conn.Conn = conn
	if tcp, ok := h.conn.inner().(*net.TCPConn); ok {
		_ = tcp.SetWriteBuffer(kernelBuffer) // without it the kernel's own limit holds
	}
	h.conn.input = bufio.NewReaderSize(h.conn, inputBuffer)
	return h.conn, bufio.NewReadWriter(h.conn.input, buffers.Writer), nil
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

// Read is gorilla's.
func (c *wsConn) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		if c.early = c.early[n:]; len(c.early) == 0 {
			c.early = nil
		}
		return n, nil
	}
	return c.Conn.Read(p)
}

// Write takes what gorilla writes: first the 101, then while it reads whole control frames, one each call.
func (c *wsConn) Write(p []byte) (int, error) {
	switch {
	case c.frames == nil:
		return c.Conn.Write(p)
	case p[0] == wsClose:
		c.closeFrame = bytes.Clone(p)
	case p[0] == wsPong && c.session == nil:
		return len(p), c.send(p)
	case p[0] == wsPong:
		c.session.queuePong(c, bytes.Clone(p))
	}
	return len(p), nil
}

// SetWriteDeadline ignores gorilla, which sets one for its control frames and leaves it there for ours.
func (c *wsConn) SetWriteDeadline(time.Time) error { return nil }

// next reads one message into a pooled buffer, which the caller gives back with release.
func (c *wsConn) next(limit int) (kind int, message *[]byte, err error) {
	kind, r, err := c.frames.NextReader()
	if err != nil {
		return 0, nil, err
	}
	message = readBuffers.Get().(*[]byte)
	*message, err = readLimited((*message)[:0], r, limit)
	if err == nil && kind == websocket.TextMessage && !utf8.Valid(*message) {
		err = errInvalidUTF8
	}
	switch {
	case errors.Is(err, errTooLarge):
		c.closeFrame = closeWith(closeTooLarge)
	case errors.Is(err, errInvalidUTF8):
		c.closeFrame = closeWith(closeInvalidUTF8)
	}
	if err != nil {
		release(message)
		return 0, nil, err
	}
	return kind, message, nil
}

func closeWith(code uint16) []byte {
	return binary.BigEndian.AppendUint16([]byte{wsClose, 2}, code)
}

// reasonFor tells why a session ends whose socket could not be read.
func (c *wsConn) reasonFor(err error) CloseReason {
	if !peerClosed(err) && c.closeFrame != nil {
		return TransportError // we refused what it sent
	}
	return TransportClose
}

// peerClosed reports whether err is the peer's Close frame.
func peerClosed(err error) bool {
	var e *websocket.CloseError
	return errors.As(err, &e) && e.Code != websocket.CloseAbnormalClosure
}

// send writes one ready-made frame of a connection that has no outbox.
func (c *wsConn) send(frame []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err := c.Conn.Write(frame)
	c.broken = c.broken || err != nil
	return err
}

// writeBatch writes a pong when one is owed, a batch, and a Close frame after it when it is the last.
func (c *wsConn) writeBatch(pong []byte, batch []*Frame, last bool) (n int, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.closeSent {
		return 0, errCloseSent
	}
	if len(batch) == 1 && pong == nil && !last {
		n, err = c.Conn.Write(c.codec.frame(batch[0]).frame)
		c.broken = err != nil
		return n, err
	}
	out := newCoalescer(c.Conn)
	out.add(pong)
	for _, f := range batch {
		out.add(c.codec.frame(f).frame)
	}
	if last {
		out.add([]byte{wsClose, 0})
	}
	err = out.close()
	c.broken = err != nil
	if last && err == nil {
		c.closeSent = true
		c.closeWrite()
	}
	return out.written, err
}

// closeWrite tells the peer that nothing follows, so that it hangs up once it has answered our Close frame.
func (c *wsConn) closeWrite() {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // a peer that is gone is found by the reader
	}
}

// interrupt makes the reader stop reading messages. It does nothing once the reader has.
func (c *wsConn) interrupt() {
	c.ending.Lock()
	defer c.ending.Unlock()
	if !c.lingering {
		_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // fails only on a closed connection
	}
}

// kill cuts the connection without waiting for anything, whatever a blocked writer or TLS still wants to say.
func (c *wsConn) kill() {
	c.ending.Lock()
	c.killed = true
	c.ending.Unlock()
	inner := c.inner()
	if tcp, ok := inner.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails only on a closed connection
	}
	_ = inner.Close() // nothing can be done about a failure
}

// finish is the reader's last act: the Close frame unless it was sent, and reading on until the peer has hung up.
func (c *wsConn) finish(readErr error) {
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
		frame := c.closeFrame
		if frame == nil {
			frame = []byte{wsClose, 0}
		}
		_, err := c.Conn.Write(frame)
		c.closeSent, c.broken = true, err != nil
		c.closeWrite()
	}
	broken := c.broken
	c.writing.Unlock()

	if broken {
		c.kill()
		return
	}
	if !peerClosed(readErr) {
		_, _ = io.Copy(io.Discard, c.Conn) // whatever ends it, we are done
	}
	_ = c.Conn.Close() // nothing can be done about a failure
}
