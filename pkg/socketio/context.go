package socketio

import (
	"context"
	"time"
)

// Context ends when the socket goes: when its client or the server takes it out of the namespace, or its connection
// ends.
func (s *Socket) Context() context.Context { return (*socketContext)(s) }

// socketContext is a socket as a context. It costs nothing until somebody waits for it.
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
	case c.state.Load() >= stateLeft: // endContext may have been here already
		return closedChannel
	case c.done == nil:
		c.done = make(chan struct{})
	}
	return c.done
}

// Err is context.Canceled once the socket has gone.
func (c *socketContext) Err() error {
	if c.state.Load() >= stateLeft {
		return context.Canceled
	}
	return nil
}

// Value is none.
func (c *socketContext) Value(any) any { return nil }

// endContext closes what Done has returned. The state says already that the socket has gone.
func (s *Socket) endContext() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done != nil {
		close(s.done)
		s.done = nil
	}
}
