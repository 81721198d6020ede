package redisconn

import (
	"fmt"
	"net"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// Conn is one connection that has logged in. One goroutine may read and another write; any may close.
type Conn struct {
	Reader

	// TellsRole: the server answered ROLE at the start, so that it may be asked again.
	TellsRole bool
	// Server is the id of the server in its cluster; empty: it was not asked or did not tell.
	Server string

	raw                       net.Conn
	answer                    *answerReader
	readTimeout, writeTimeout time.Duration
}

// answerReader renews the read deadline before each read while patience is above 0. It belongs to the goroutine that reads.
type answerReader struct {
	net.Conn

	patience time.Duration
}

func (r *answerReader) Read(b []byte) (int, error) {
	if r.patience > 0 {
		if err := r.SetReadDeadline(time.Now().Add(r.patience)); err != nil {
			return 0, err
		}
	}
	return r.Conn.Read(b)
}

const defaultBuffer = 4 << 10

func newConn(raw net.Conn, options *goredis.Options, buffer int) *Conn {
	c := &Conn{raw: raw, answer: &answerReader{Conn: raw}, readTimeout: options.ReadTimeout, writeTimeout: options.WriteTimeout}
	if c.readTimeout <= 0 {
		c.readTimeout = DefaultReadTimeout
	}
	if c.writeTimeout <= 0 {
		c.writeTimeout = c.readTimeout
	}
	c.Reader = *NewReader(c.answer, max(buffer, defaultBuffer))
	return c
}

// writePart is how many bytes the write timeout is for: a slow connection may take longer for more.
const writePart = 64 << 10

// Write sends commands. It waits for the socket, within the write timeout of the options for each writePart.
func (c *Conn) Write(commands []byte) error {
	for len(commands) > 0 {
		part := commands[:min(len(commands), writePart)]
		if err := c.raw.SetWriteDeadline(time.Now().Add(c.writeTimeout)); err != nil {
			return fmt.Errorf("redis: write: %w", err)
		}
		if _, err := c.raw.Write(part); err != nil {
			return fmt.Errorf("redis: write: %w", err)
		}
		commands = commands[len(part):]
	}
	return nil
}

// slowest is how many bytes a second a connection carries at least. Bytes that were written may still be in buffers of this machine
// or of a proxy, and no call reports how many of them have reached Redis.
const slowest = 256 << 10

// Ask sends commands and calls answer, which reads the replies. A reply may take any time as long as some of it arrives within each
// read timeout; the first part of it may take longer by the time that the commands need at the slowest rate. It is for the goroutine
// that reads.
func (c *Conn) Ask(commands []byte, answer func() error) error {
	if err := c.Write(commands); err != nil {
		return err
	}
	c.answer.patience = c.readTimeout + time.Duration(len(commands))*time.Second/slowest
	defer func() { c.answer.patience = 0 }()
	return answer()
}

// AwaitReply gives what is read from now on the read timeout of the options. A subscription has none: a deadline that
// struck inside a message would leave the reader between two.
func (c *Conn) AwaitReply() error { return c.raw.SetReadDeadline(time.Now().Add(c.readTimeout)) }

// ReadTimeout is how long a reply is awaited.
func (c *Conn) ReadTimeout() time.Duration { return c.readTimeout }

// Idle takes the deadline away again.
func (c *Conn) Idle() error { return c.raw.SetReadDeadline(time.Time{}) }

// Ended reports whether the server is known to have ended the connection, so that nothing is sent into the void. It does not wait.
func (c *Conn) Ended() bool { return ended(c.raw) }

// Close ends the connection, and with it whatever is being read or written.
func (c *Conn) Close() { _ = c.raw.Close() }
