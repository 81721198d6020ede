package engine

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/idle"
	"github.com/carillon-io/carillon/internal/wsframe"
)

var (
	// errIdle: nothing has arrived, and the caller does not wait.
	errIdle = errors.New("engine: nothing to read")
	// errEnded: a message has ended the session.
	errEnded = errors.New("engine: the session has ended")
)

const (
	// quiet is how long a connection must have been without messages to be taken for an idle one.
	quiet = time.Second
	// frequently is how many messages, each less than quiet after the last, make a connection busy: its reader is no longer
	// parked after each. It is parked again at the first message that follows a pause; heartbeat pongs guarantee one.
	frequently = 16
)

// read handles messages until the connection is idle or the session ends. It is a goroutine's first function.
func (s *Session) read() {
	growReaderStack(false)
	conn := s.socket
	var err error
	returned := false
	defer func() {
		if !returned { // runtime.Goexit in the receiver, as by testing's FailNow; or a bug, and it must not wait here
			go func() {
				s.end(ForcedClose, cause("the receiver ended its goroutine"))
				s.endReader(conn, errEnded)
			}()
		}
	}()
	for err == nil {
		if conn.socket != nil {
			err = s.readAll(conn)
			switch {
			case errors.Is(err, errIdle):
				if conn.park() {
					returned = true
					return
				}
				err = s.readMessage(conn) // parking failed: the reader waits
			case errors.Is(err, os.ErrDeadlineExceeded) && conn.resume():
				err = nil
			}
			continue
		}
		if err = s.readMessage(conn); err == nil && conn.frequent == 0 {
			// Handling a message has grown the stack, which would not shrink again.
			go s.read()
			returned = true
			return
		}
	}
	returned = true
	if !errors.Is(err, errEnded) {
		s.end(reasonFor(err), err)
	}
	s.endReader(conn, err)
}

// endReader is what every reader whose connection is over ends with.
func (s *Session) endReader(conn *wsConn, err error) {
	conn.linger(err)
	s.server.idle.Remove(&conn.slot)
	s.server.running.Done()
}

// reasonFor says why a session ends whose socket could not be read.
func reasonFor(readErr error) CloseReason {
	if v := wsframe.Violation(0); errors.As(readErr, &v) {
		return TransportError // we refused what it sent
	}
	return TransportClose
}

// readMessage handles one message.
func (s *Session) readMessage(conn *wsConn) error {
	m, err := conn.next(s.server.config.MaxPayload)
	if err != nil {
		return err
	}
	if len(m.Data) > readBuffer {
		conn.charge() // the receiver may take its time
	}
	if !s.receiveMessage(conn, m) {
		return errEnded
	}
	conn.pace(s.server.now())
	return nil
}

// pace notes when a message came, and makes the connection busy or idle by it.
func (c *wsConn) pace(now time.Duration) {
	pause := now - c.heard
	c.heard = now
	switch {
	case pause > quiet:
		if c.frequent == frequently {
			c.rest()
		}
		c.frequent = 0
	case c.frequent < frequently:
		if c.frequent++; c.frequent == frequently && c.run != nil && !c.stay() {
			c.frequent = 0
		}
	}
}

// receiveMessage handles one message. It returns false when the session has ended.
func (s *Session) receiveMessage(conn *wsConn, m wsframe.Message) (alive bool) {
	s.server.metrics.bytesIn[socketTransport(conn.codec)].Add(float64(len(m.Data)))
	var p eioproto.Packet
	switch {
	case conn.codec.Plain():
		p = plainPacket(m)
	case m.Opcode == wsframe.Text:
		var err error
		if p, err = conn.codec.Revision.DecodeText(m.Data); err != nil {
			s.end(ParseError, err)
			return false
		}
	default:
		var known bool
		if p, known = conn.codec.Revision.DecodeBinary(m.Data); !known {
			return true
		}
	}
	// A POST that arrived before the upgrade may still be delivering.
	s.inbound.Lock()
	defer s.inbound.Unlock()
	return s.receive(p)
}

// next returns the next message, valid until next is called again. Control frames that come before it are dealt with.
// Within a readRun it does not wait: when no whole message has arrived it returns errIdle, and may be called again.
func (c *wsConn) next(limit int) (wsframe.Message, error) {
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
func (c *wsConn) fill() error {
	switch {
	case c.run != nil && c.run.drained:
		return errIdle
	case c.bare():
		return c.rawFill()
	}
	space := c.in.Space()
	c.charge()
	n, err := c.Conn.Read(space)
	c.in.Filled(n)
	if c.resting() && c.session != nil {
		c.session.kick() // TLS has answered something
	}
	switch {
	case n > 0: // perhaps with an error, which comes again: crypto/tls may have looked for an alert behind the data
		return nil
	case errors.Is(err, idle.ErrNothing):
		return errIdle
	case err == nil:
		return io.ErrNoProgress
	}
	return err
}
