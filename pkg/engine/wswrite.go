package engine

import (
	"errors"

	"github.com/carillon-io/carillon/internal/wsframe"
)

var errWriteClosed = errors.New("engine: write after the Close frame")

// writeBatch writes a pong when one is owed, a batch, and a Close frame after it when it is the last. The flusher retires
// before it waits.
func (c *wsConn) writeBatch(w *flusher, pong []byte, batch []*Frame, last bool) (n int, err error) {
	if !c.writeLock.TryLock() {
		w.retire()
		c.writeLock.Lock()
	}
	defer c.writeLock.Unlock()
	if !c.mayWrite() {
		return 0, errWriteClosed
	}
	var closing []byte
	if last {
		closing = c.closeFrame(nil)
	}
	switch {
	case c.bare():
		n, err = c.rawWrite(w, pong, batch, closing)
	default:
		n, err = c.writePieces(w, pieces{codec: &c.codec, pong: pong, batch: batch, close: closing})
	}
	c.wrote(w, last, err)
	c.sleepOn()
	return n, err
}

// writePieces writes a batch to a connection that is not its descriptor: one chunk at a time, of which under TLS the rest is
// what a client that does not read has of its own.
func (c *wsConn) writePieces(w *flusher, p pieces) (written int, err error) {
	for {
		if err := c.flushRest(w); err != nil || !p.advance() {
			return p.written, err
		}
		if err := c.writeChunk(&p); err != nil {
			return p.written, err
		}
		c.session.progressed()
	}
}

// writeChunk writes as much as leaves together.
func (c *wsConn) writeChunk(p *pieces) error {
	out := p.rest[:min(len(p.rest), chunk)]
	if p.gathers() {
		buffer := chunks.Get().(*[chunk]byte)
		defer chunks.Put(buffer)
		out = p.gather(buffer)
	}
	n, err := c.Conn.Write(out)
	p.skip(n)
	return err
}

// resting reports whether something that TLS has written has still to be written to the descriptor.
func (c *wsConn) resting() bool { return c.below != nil && c.below.Rest() > 0 }

// owesRest reports whether a flush has to be started for what rests. Behind the Close frame nothing is written: there TLS has
// nothing left to say that the client needs.
func (c *wsConn) owesRest() bool { return c.resting() && c.mayQueue() }

// flushRest writes to the descriptor what TLS has written. The flusher retires before it waits.
func (c *wsConn) flushRest(w *flusher) error {
	if !c.resting() {
		return nil
	}
	return c.below.Flush(w.retire)
}

// write writes p and waits. The caller holds writeLock.
func (c *wsConn) write(p []byte) error {
	_, err := c.Conn.Write(p)
	if err != nil {
		return err
	}
	return c.flushRest(retired)
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

// queuePong owes the peer a pong, instead of an older one that has not been sent yet. Behind a Close frame there is none.
func (s *Session) queuePong(conn *wsConn, pong []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if conn.mayQueue() {
		conn.pong = pong
		s.kickLocked()
	}
}

// send writes one ready-made frame of a candidate.
func (c *wsConn) send(frame []byte) error {
	c.writeLock.Lock()
	defer c.writeLock.Unlock()
	err := c.write(frame)
	c.wrote(retired, false, err)
	return err
}

// closeFrame is the Close frame that answers what ended the reading, and what goes before it: a violation is answered with
// its code, a Close frame with its own. A client that is sent away gets a code, too, since the C++ client takes a Close frame
// without one for the end, or no Close frame at all; all else closes without a code.
func (c *wsConn) closeFrame(readErr error) []byte {
	var f farewell
	var v wsframe.Violation
	switch {
	case errors.As(readErr, &f.code):
		return wsframe.AppendClose(nil, f.code, "")
	case errors.As(readErr, &v):
		f.code = wsframe.CloseCode(v)
	case c.session != nil && c.session.silently():
		return nil
	}
	if c.session != nil {
		f = c.session.farewell(f.code)
	}
	var frames []byte
	if f.last != nil {
		frames = append(frames, c.codec.Wire(f.last)...)
	}
	return wsframe.AppendClose(frames, f.code, f.text)
}
