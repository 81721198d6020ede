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
	case len(batch) == 1 && len(batch[0].wire.frame) < chunk && pong == nil && !last:
		n, err = c.Conn.Write(c.codec.frame(batch[0]).frame)
	default:
		n, err = c.coalesce(pong, batch, closing)
	}
	c.wrote(last, err)
	c.sleepOn()
	return n, err
}

// coalesce writes a batch to a connection whose descriptor is not to be had.
func (c *wsConn) coalesce(pong []byte, batch []*Frame, closing []byte) (n int, err error) {
	out := newCoalescer(c.session, c.Conn)
	out.add(pong)
	for _, f := range batch {
		out.add(c.codec.frame(f).frame)
	}
	out.add(closing)
	err = out.close()
	return out.written, err
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
	_, err := c.Conn.Write(frame)
	c.wrote(false, err)
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
		frames = append(frames, c.codec.frame(f.last).frame...)
	}
	return wsframe.AppendClose(frames, f.code, f.text)
}
