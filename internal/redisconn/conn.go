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
	readTimeout, writeTimeout time.Duration
}

const defaultBuffer = 4 << 10

func newConn(raw net.Conn, options *goredis.Options, buffer int) *Conn {
	c := &Conn{raw: raw, readTimeout: options.ReadTimeout, writeTimeout: options.WriteTimeout}
	if c.readTimeout <= 0 {
		c.readTimeout = DefaultReadTimeout
	}
	if c.writeTimeout <= 0 {
		c.writeTimeout = c.readTimeout
	}
	c.Reader = *NewReader(raw, max(buffer, defaultBuffer))
	return c
}

// Write sends commands. It waits for the socket, within the write timeout of the options.
func (c *Conn) Write(commands []byte) error {
	if err := c.raw.SetWriteDeadline(time.Now().Add(c.writeTimeout)); err != nil {
		return fmt.Errorf("redis: write: %w", err)
	}
	if _, err := c.raw.Write(commands); err != nil {
		return fmt.Errorf("redis: write: %w", err)
	}
	return nil
}

// AwaitReply gives what is read from now on the read timeout of the options. A subscription has none: a deadline that
// struck inside a message would leave the reader between two.
func (c *Conn) AwaitReply() error { return c.raw.SetReadDeadline(time.Now().Add(c.readTimeout)) }

// ReadTimeout is how long a reply is awaited.
func (c *Conn) ReadTimeout() time.Duration { return c.readTimeout }

// Idle takes the deadline away again.
func (c *Conn) Idle() error { return c.raw.SetReadDeadline(time.Time{}) }

// Close ends the connection, and with it whatever is being read or written.
func (c *Conn) Close() { _ = c.raw.Close() }
