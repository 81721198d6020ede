// Package wsconn is the server's end of a WebSocket on a hijacked connection: the handshake, messages out of what arrives,
// batches of frames to be written, the closing handshake, and parking, in which an idle connection has neither a goroutine nor
// a buffer. It knows nothing of sessions: to a Conn its session is an Owner.
//
//	             Serve                    Write
//	            ┌─────────┐ Receive      ┌──────────┐
//	client ───► │ reading ├────────► O   │ writing  │ ◄── whichever goroutine flushes
//	            └─┬─────▲─┘         w    └────┬─────┘
//	         park │     │ Wake      n         │ Progressed
//	            ┌─▼─────┴─┐ Resume  e ◄───────┘
//	            │ poller  ├───────► r
//	            └─────────┘
//
// Reading and writing have a state each, see state.go. A connection ends gently or is cut: End makes the reader discard what
// arrives until the client has hung up, Cut closes the connection with a reset, whatever is under way.
package wsconn

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/idle"
	"github.com/carillon-io/carillon/internal/wsframe"
)

// Owner is the session that a Conn carries. Its methods must not block, Receive aside.
type Owner interface {
	// Resume calls Serve on a goroutine of its own: the Conn is to be read from. A lock of the Conn may be held.
	Resume()
	// Receive handles one message, valid until it returns; of a plain session also a pong. It reports whether the session
	// goes on. While it blocks nothing more is read.
	Receive(m wsframe.Message) (alive bool)
	// OwePong has a pong written before anything else, instead of an older one that has not been written.
	OwePong(pong *frame.Frame)
	// Progressed notes that the client has taken a part of what is being written.
	Progressed()
	// Kick has Write called, if need be with nothing: something rests that only Write may write.
	Kick()
	// Farewell returns the last frames that the client receives: the session's own, if any, and a Close frame with the code, 0
	// for none, unless the session has chosen another.
	Farewell(code wsframe.CloseCode) []byte
}

// Conn is a hijacked connection after the WebSocket handshake. One goroutine at a time reads from it, none while it is
// parked. The zero value is for Acceptor.Accept.
type Conn struct {
	// What each write needs comes first, and together: of thousands of connections none is in the processor's cache.

	writeLock sync.Mutex // held across writes

	// mu guards the following. The Owner's lock may be held when it is taken; only the poller's is taken under it.
	mu      sync.Mutex
	reading readState
	writing writeState

	// Static after the handshake.
	codec    frame.Codec
	socket   *idle.Conn    // the same as conn on plain TCP, or what is below TLS on a Listener; else nil
	below    *idle.Records // what is below TLS on a Listener, which socket is then a part of; else nil
	acceptor *Acceptor
	conn     net.Conn

	// Owned by the reader.
	frequent uint8     // messages in a row that came soon after the one before
	slot     idle.Slot // in the poller; not changed while the connection is parked
	owner    Owner     // nil while the connection is a candidate, which has no other writer than the reader
	in       wsframe.Reader
	run      *readRun      // while the reader has the descriptor: it does not wait for input then
	latest   time.Duration // when the last message came

	held atomic.Int64 // bytes that were counted as inbound; changed by Swap alone
}

// Carry makes the connection that of a session. The reader calls it, or no reader is there yet.
func (c *Conn) Carry(o Owner) { c.owner = o }

// Codec is how packets look on this connection.
func (c *Conn) Codec() *frame.Codec { return &c.codec }

// Blocks reports whether a write may block at any time, for want of a descriptor to ask first.
func (c *Conn) Blocks() bool { return c.socket == nil }

// bare reports whether frames are read from and written to the descriptor itself.
func (c *Conn) bare() bool { return c.socket != nil && c.below == nil }

// tcpConn is an *idle.Conn, a *net.TCPConn, or what a listener made of one to count it.
type tcpConn interface {
	net.Conn
	SetLinger(seconds int) error
	SetWriteBuffer(bytes int) error
	CloseRead() error
	CloseWrite() error
}

// inner is the connection below TLS and whatever else wraps it.
func (c *Conn) inner() net.Conn {
	if c.socket != nil {
		return c.socket
	}
	inner := c.conn
	for {
		wrapped, ok := inner.(interface{ NetConn() net.Conn })
		if !ok {
			return inner
		}
		inner = wrapped.NetConn()
	}
}

// SetWriteDeadline bounds the writes of a candidate; zero: no more.
func (c *Conn) SetWriteDeadline(t time.Time) {
	_ = c.conn.SetWriteDeadline(t) // a dead connection is found by the reader
}

// onLocked applies an event to the reading side. It reports whether the event meant anything; was is the state before.
func (c *Conn) onLocked(e readEvent) (was readState, ok bool) {
	was = c.reading
	c.reading, ok = was.on(e)
	return was, ok
}

// End makes the reader take no more messages, and linger. It does nothing once the reader does.
func (c *Conn) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	was, ok := c.onLocked(readEnd)
	if !ok {
		return
	}
	_ = c.conn.SetReadDeadline(past) // fails only on a closed connection
	if was == readParked {
		c.owner.Resume()
	}
}

// Cut ends the connection without waiting for anything. The bytes that a blocked writer, TLS or the kernel still holds are lost.
func (c *Conn) Cut() {
	c.mu.Lock()
	was, ok := c.onLocked(readCut)
	c.mu.Unlock()
	if !ok {
		return
	}
	inner := c.inner()
	if tcp, ok := inner.(tcpConn); ok {
		_ = tcp.SetLinger(0) // fails only on a closed connection
		shutDown(tcp)        // Close waits for a reader inside RawConn.Read, which may be inside Receive
	}
	_ = inner.Close() // nothing can be done about a failure
	if was == readParked {
		c.owner.Resume()
	}
}

// shutDown ends both directions for the peer.
func shutDown(tcp tcpConn) {
	_ = tcp.CloseWrite() // fails on a connection that is over
	_ = tcp.CloseRead()
}

// Parked reports whether the connection waits for input without a reader.
func (c *Conn) Parked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reading == readParked
}

// Asleep reports whether nothing but the descriptor is left of the connection.
func (c *Conn) Asleep() bool { return c.socket != nil && !c.socket.Awake() }

// CloseFrameWritten reports whether the Close frame has been written.
func (c *Conn) CloseFrameWritten() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writing == writeClosed
}
