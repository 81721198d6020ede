package socketio

import (
	"context"
	"errors"
	"fmt"

	"github.com/carillon-io/carillon/pkg/engine"
)

// push puts an item into the mailbox, and waits while that is full. Only the reader calls it.
func (c *client) push(it item) {
	c.mu.Lock()
	for c.mailbox.full() {
		space := c.mailbox.awaitSpace()
		c.mu.Unlock()
		if !c.await(space) {
			return
		}
		c.mu.Lock()
	}
	c.putLocked(it)
	c.mu.Unlock()
}

// await waits for space; false when the session ended before there was any. Then its handlers must not wait for
// acknowledgements any longer, or they would never make room, and Closed comes only after Message has returned.
func (c *client) await(space <-chan struct{}) bool {
	select {
	case <-space:
		return true
	case <-c.session.Done():
		c.refused = true
		return false
	}
}

// putLocked puts an item into the mailbox and sees that somebody takes it.
func (c *client) putLocked(it item) {
	if c.mailbox == nil {
		c.mailbox = mailboxes.Get().(*mailbox)
	}
	c.mailbox.put(it)
	if !c.working {
		c.working = true
		c.io.workers.start(c)
	}
}

// work empties the mailbox. All handlers of the connection run on the worker's goroutine. Server.Shutdown and Close
// wait until it is done.
func (c *client) work() {
	for {
		c.mu.Lock()
		it, ok := c.mailbox.take()
		if !ok {
			c.mailbox.release()
			c.mailbox, c.working = nil, false
			done := c.closed
			c.mu.Unlock()
			if done {
				c.io.clients.Done()
			}
			return
		}
		c.mu.Unlock()
		c.handle(&it)
	}
}

// handleInline handles an event on the reader's goroutine if its socket has a Logic, which does not block, and no worker
// runs for the connection; else it returns false.
func (c *client) handleInline(it *item) bool {
	c.mu.Lock()
	inline := !c.working && it.socket.logic != nil
	c.working = c.working || inline
	c.mu.Unlock()
	if !inline {
		return false
	}
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.working = c.mailbox != nil; c.working { // the handler has disconnected the socket, or somebody else has
			c.io.workers.start(c)
		}
	}()
	c.handle(it)
	return true
}

// handle does what an item says.
func (c *client) handle(it *item) {
	defer c.survive()
	switch it.kind {
	case itemConnect:
		c.enter(it.socket)
	case itemEvent:
		it.socket.handle(it)
	case itemLeave:
		c.leave(it.socket)
	}
}

// survive, deferred around code of the application's, makes a panic end this connection only.
func (c *client) survive() {
	v := recover()
	if v == nil {
		return
	}
	c.io.panicked(v)
	c.close(stateEnded, fmt.Errorf("socketio: panic in a handler: %v", v))
}

// enter takes a socket through its namespace's middlewares and connects it, or refuses it.
func (c *client) enter(s *Socket) {
	if s.state.Load() != statePending {
		return // gone before its turn
	}
	n, err := c.io.acquire(s.name)
	if err != nil {
		c.turnAway(s, err)
		return
	}
	s.nsp = n
	if !n.prepare() || !n.add(s) {
		c.turnAway(s, ErrClose)
		return
	}
	middlewares, handlers := n.hooks()
	if err := c.pass(s, middlewares); err != nil {
		c.turnAway(s, err)
		return
	}
	if logic := n.newLogic(s); logic != nil {
		if err := logic.Enter(s.Context()); err != nil {
			c.turnAway(s, err)
			return
		}
		s.logic = logic
	}
	c.io.adapter.Touch(n.name, s.id)
	if !c.answer(s) {
		return
	}
	s.entered = true
	if s.logic != nil {
		s.logic.Entered()
	}
	for _, f := range handlers {
		f(s)
	}
}

// pass calls the middlewares, the first error ends it.
func (c *client) pass(s *Socket, middlewares []func(context.Context, *Socket) error) error {
	for _, m := range middlewares {
		if err := m(s.Context(), s); err != nil {
			return err
		}
	}
	return nil
}

// answer makes the socket a connected one. Broadcasts of other goroutines reach it from the answer on, never before:
// between the two states they wait for mu.
func (c *client) answer(s *Socket) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.state.Load() != statePending {
		return false
	}
	s.state.Store(stateAnswering)
	s.queue(false, &outgoing{Packet: s.connectPacket()})
	c.joined++
	c.stopTimerLocked()
	s.nsp.connected.Add(1)
	s.state.Store(stateConnected)
	return true
}

// turnAway ends a socket that was not connected, and tells its client why.
func (c *client) turnAway(s *Socket, cause error) {
	c.mu.Lock()
	ended := c.endLocked(s, stateEnded, &end{cause: cause})
	c.mu.Unlock()
	s.failAcks()
	if !ended {
		return // gone by itself meanwhile
	}
	switch {
	case errors.Is(cause, errLimit):
		c.io.metrics.dropped(dropNamespaces)
		c.session.Close(engine.Limit)
	case errors.Is(cause, ErrClose):
		c.session.Close(engine.ForcedClose)
	default:
		s.queue(false, &outgoing{Packet: s.refusalPacket(cause)})
	}
}

// leave ends what enter began, as far as that came.
func (c *client) leave(s *Socket) {
	n := s.nsp
	if n == nil {
		return
	}
	disconnecting, disconnected := s.leaveHandlers()
	if s.entered {
		if s.logic != nil {
			c.farewell(s.logic.Leave, s.end.reason)
		}
		for _, f := range disconnecting {
			c.farewell(f, s.end.reason)
		}
	}
	if rooms := n.remove(s); len(rooms) > 0 {
		c.io.adapter.Touch(n.name, rooms...)
	}
	if s.entered {
		for _, f := range disconnected {
			c.farewell(f, s.end.reason)
		}
	}
	c.io.release(n)
}

// farewell calls one disconnect handler; whether it panics or not, the next is called too.
func (c *client) farewell(f func(string), reason string) {
	defer c.survive()
	f(reason)
}
