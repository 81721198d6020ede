package engine

import (
	"errors"
	"io"

	"github.com/carillon-io/carillon/internal/wsframe"
)

// errIdle: nothing has arrived, and the caller does not wait.
var errIdle = errors.New("engine: nothing to read")

// next returns the next message, valid until next is called again. Control frames that come before it are dealt with.
// Within a turn it does not wait: when no whole message has arrived it returns errIdle, and may be called again.
func (c *wsConn) next(limit int) (wsframe.Message, error) {
	for {
		m, err := c.in.Next(limit)
		switch {
		case errors.Is(err, wsframe.ErrMore):
			err = c.fill()
		case err != nil:
		case m.Opcode == wsframe.Ping:
			err = c.answerPing(m.Data)
		case m.Opcode == wsframe.Close:
			var code wsframe.CloseCode
			if code, err = wsframe.ParseClose(m.Data); err == nil {
				err = code
			}
		case m.Opcode != wsframe.Pong: // an unasked pong means nothing
			return m, nil
		}
		if err != nil {
			return wsframe.Message{}, err
		}
	}
}

// fill reads more input.
func (c *wsConn) fill() error {
	switch {
	case c.turn != nil && c.drained:
		return errIdle
	case c.raw != nil:
		return c.rawFill()
	}
	n, err := c.Conn.Read(c.in.Space())
	c.in.Filled(n)
	switch {
	case n > 0:
		return nil
	case err == nil:
		return io.ErrNoProgress
	}
	return err
}
