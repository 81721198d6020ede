package wsconn

import (
	"errors"
	"time"

	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/wsframe"
)

var errWriteClosed = errors.New("wsconn: write after the Close frame")

// Writer is what one goroutine writes with, to one connection after the other.
type Writer struct {
	wait func() // called before a write waits for its peer
	call writeCall
}

// NewWriter makes a Writer that calls wait, perhaps more than once, before it waits.
func NewWriter(wait func()) *Writer {
	w := &Writer{wait: wait}
	w.call.prepare(wait)
	return w
}

// Blocking is the Writer of goroutines that may wait. They use it for connections that Block.
var Blocking = NewWriter(func() {})

// Write writes a pong when one is owed, else nil, a batch, and when closing the Close frame behind it. It returns how many
// bytes were written.
func (c *Conn) Write(w *Writer, pong *frame.Frame, batch []*frame.Frame, closing bool) (n int, err error) {
	if !c.writeLock.TryLock() {
		w.wait()
		c.writeLock.Lock()
	}
	defer c.writeLock.Unlock()
	if !c.mayWrite() {
		return 0, errWriteClosed
	}
	p := pieces{codec: &c.codec, pong: pong, batch: batch}
	if closing {
		p.close = c.closeFrame(nil)
	}
	if c.bare() {
		n, err = c.rawWrite(w, p)
	} else {
		n, err = c.writePieces(w, p)
	}
	c.wrote(w, closing, err)
	c.sleepOn()
	return n, err
}

// writePieces writes a batch to a connection that is not its descriptor, one chunk at a time. Under TLS the unwritten rest of one chunk
// is all the memory that a client which does not read has of its own.
func (c *Conn) writePieces(w *Writer, p pieces) (written int, err error) {
	for {
		if err := c.flushRest(w); err != nil || !p.advance() {
			return p.written, err
		}
		if err := c.writeChunk(&p); err != nil {
			return p.written, err
		}
		c.owner.Progressed()
	}
}

// writeChunk writes as much as leaves together.
func (c *Conn) writeChunk(p *pieces) error {
	out := p.rest[:min(len(p.rest), Chunk)]
	if p.gathers() {
		buffer := chunks.Get().(*[Chunk]byte)
		defer chunks.Put(buffer)
		out = p.gather(buffer)
	}
	n, err := c.conn.Write(out)
	p.skip(n)
	return err
}

// resting reports whether something that TLS has written has still to be written to the descriptor.
func (c *Conn) resting() bool { return c.below != nil && c.below.Rest() > 0 }

// OwesRest reports whether Write has to be called for what rests. Behind the Close frame nothing is written: TLS sends
// nothing there that the client needs.
func (c *Conn) OwesRest() bool { return c.resting() && c.MayQueue() }

// flushRest writes to the descriptor what TLS has written.
func (c *Conn) flushRest(w *Writer) error {
	if !c.resting() {
		return nil
	}
	return c.below.Flush(w.wait)
}

// write writes p and waits. The caller holds writeLock.
func (c *Conn) write(p []byte) error {
	_, err := c.conn.Write(p)
	if err != nil {
		return err
	}
	return c.flushRest(Blocking)
}

// answerPing owes the peer a pong. A candidate has no owner to owe it.
func (c *Conn) answerPing(payload []byte) error {
	pong := frame.NewControl(wsframe.Pong, payload)
	if c.owner == nil {
		return c.Send(pong)
	}
	c.owner.OwePong(pong)
	return nil
}

// Send writes one frame of a candidate, and waits.
func (c *Conn) Send(f *frame.Frame) error {
	c.writeLock.Lock()
	defer c.writeLock.Unlock()
	err := c.write(c.codec.Wire(f))
	c.wrote(Blocking, false, err)
	return err
}

// StartClose says that a Close frame is about to be written. Only the first caller gets true.
func (c *Conn) StartClose() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	next, ok := c.writing.on(writeClose)
	c.writing = next
	return ok
}

// MayQueue reports whether frames may still be queued: not behind a Close frame.
func (c *Conn) MayQueue() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writing == writeOpen
}

// mayWrite reports whether the holder of writeLock may write.
func (c *Conn) mayWrite() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writing == writeOpen || c.writing == writeClosing
}

// wrote notes the outcome of a write, and whether the Close frame was in it. The caller holds writeLock.
func (c *Conn) wrote(w *Writer, closing bool, err error) {
	e := writeCloseFrame
	switch {
	case err != nil:
		e = writeFailed
	case !closing:
		return
	}
	c.mu.Lock()
	c.writing, _ = c.writing.on(e)
	c.mu.Unlock()
	if e == writeCloseFrame {
		c.closeWrite(w)
	}
}

// closeWrite ends our direction of the stream, so that the peer hangs up once it has answered our Close frame.
func (c *Conn) closeWrite(w *Writer) {
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok {
		return
	}
	_ = half.CloseWrite() // a peer that is gone is found by the reader
	if c.resting() {
		c.SetWriteDeadline(time.Now().Add(Stall)) // TLS has set one that is over
		_ = c.flushRest(w)
	}
}
