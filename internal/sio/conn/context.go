package conn

import (
	"context"
	"time"
)

// socketContext is a socket as a context. It takes no memory until Done is called.
type socketContext Socket

var closedChannel = func() chan struct{} {
	ch := make(chan struct{})
	close(ch)
	return ch
}()

// Deadline is none.
func (c *socketContext) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Done returns a channel that is closed when the socket goes.
func (c *socketContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.life.gone(): // endContext may have run already
		return closedChannel
	case c.done == nil:
		c.done = make(chan struct{})
	}
	return c.done
}

// Err is context.Canceled once the socket has gone.
func (c *socketContext) Err() error {
	if c.life.gone() {
		return context.Canceled
	}
	return nil
}

// Value is that of the session's context; nil without a session.
func (c *socketContext) Value(key any) any {
	if c.conn == nil {
		return nil
	}
	return c.conn.session.Context().Value(key)
}

// endContext closes what Done has returned. The life says already that the socket has gone.
func (s *Socket) endContext() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done != nil {
		close(s.done)
		s.done = nil
	}
}
