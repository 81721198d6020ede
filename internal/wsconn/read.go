package wsconn

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/carillon-io/carillon/internal/idle"
	"github.com/carillon-io/carillon/internal/wsframe"
)

var (
	// ErrEnded: a message has ended the session.
	ErrEnded = errors.New("wsconn: the session has ended")
	// errIdle: nothing has arrived, and the caller does not wait.
	errIdle = errors.New("wsconn: nothing to read")
)

// Serve handles messages until the connection is idle or over. It returns nil when it has parked the connection, or another
// reader goes on: the caller does nothing more with the Conn then. After an error, which is ErrEnded, an error of the
// connection, or one of package wsframe, the caller calls Linger.
func (c *Conn) Serve() error {
	if c.socket == nil {
		return c.serveWaiting()
	}
	for {
		err := c.readAll()
		switch {
		case errors.Is(err, errIdle):
			if c.park() {
				return nil
			}
			err = c.readMessage() // parking failed: the reader waits
		case errors.Is(err, os.ErrDeadlineExceeded) && c.goOn():
			err = nil
		}
		if err != nil {
			return err
		}
	}
}

// serveWaiting is Serve for a connection without a descriptor, whose reader waits.
func (c *Conn) serveWaiting() error {
	for {
		if err := c.readMessage(); err != nil {
			return err
		}
		if c.frequent == 0 {
			// Handling a message has grown the stack, which would not shrink again.
			c.owner.Resume()
			return nil
		}
	}
}

// large is the length from which a message is counted while it is handled.
const large = 4 << 10

// readMessage handles one message.
func (c *Conn) readMessage() error {
	m, err := c.Next(c.acceptor.MaxPayload)
	if err != nil {
		return err
	}
	if len(m.Data) > large {
		c.charge() // Receive may take its time
	}
	if !c.owner.Receive(m) {
		return ErrEnded
	}
	c.pace(time.Since(c.acceptor.epoch))
	return nil
}

// Next returns the next message, valid until Next is called again. Control frames that come before it are dealt with.
// Within a readRun it does not wait: when no whole message has arrived it returns errIdle, and may be called again.
func (c *Conn) Next(limit int) (wsframe.Message, error) {
	for {
		m, err := c.in.Next(limit)
		switch {
		case errors.Is(err, wsframe.ErrMore):
			c.charge()
			if err = c.fill(); errors.Is(err, errIdle) {
				c.charge()
			}
		case err != nil:
		case m.Opcode == wsframe.Ping:
			err = c.answerPing(m.Data)
		case m.Opcode == wsframe.Close:
			var code wsframe.CloseCode
			if code, err = wsframe.ParseClose(m.Data); err == nil {
				err = code
			}
		case m.Opcode != wsframe.Pong || c.codec.Plain(): // Engine.IO has pings of its own
			return m, nil
		}
		if err != nil {
			return wsframe.Message{}, err
		}
	}
}

// fill reads more input.
func (c *Conn) fill() error {
	switch {
	case c.run != nil && c.run.drained:
		return errIdle
	case c.bare():
		return c.rawFill()
	}
	space := c.in.Space()
	c.charge()
	n, err := c.conn.Read(space)
	c.in.Filled(n)
	if c.resting() && c.owner != nil {
		c.owner.Kick() // TLS has answered something
	}
	switch {
	case n > 0: // perhaps with an error, which comes again: crypto/tls may have looked for an alert behind the data
		if c.below != nil {
			c.below.Delivered()
		}
		return nil
	case errors.Is(err, idle.ErrNothing):
		return errIdle
	case err == nil:
		return io.ErrNoProgress
	}
	return err
}

// charge counts what the reader and TLS hold of what has arrived, instead of what they held before. The reader calls it
// whenever it is about to wait.
func (c *Conn) charge() {
	if c.owner == nil {
		return // a candidate's messages are tiny
	}
	held := int64(c.in.Held())
	if c.below != nil {
		held += int64(c.below.Held())
	}
	if held != c.held.Load() {
		c.acceptor.Inbound(int(held - c.held.Swap(held))) // Discount may have come meanwhile
	}
}

// Held is how many bytes are counted for what has arrived: unfinished messages, and buffers of TLS that large ones have left.
func (c *Conn) Held() int { return int(c.held.Load()) }

// Discount stops counting them, of a connection that was cut, before its reader has let go of the memory.
func (c *Conn) Discount() { c.acceptor.Inbound(-int(c.held.Swap(0))) }
