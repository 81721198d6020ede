package conn

import (
	"errors"

	"github.com/carillon-io/carillon/internal/sio/tally"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// push puts an item into the mailbox, and blocks while that is full. Only the reader calls it.
func (c *Conn) push(it item) {
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
func (c *Conn) await(space <-chan struct{}) bool {
	select {
	case <-space:
		return true
	case <-c.session.Done():
		c.refused = true
		return false
	}
}

// putLocked puts an item into the mailbox, and starts a worker where none runs.
func (c *Conn) putLocked(it item) {
	if c.mailbox == nil {
		c.mailbox = mailboxes.Get().(*mailbox)
	}
	c.mailbox.put(it)
	if !c.working {
		c.working = true
		c.set.work(c)
	}
}

// work empties the mailbox. Set.Wait waits until it has returned for a connection that has ended.
func (c *Conn) work() {
	for {
		c.mu.Lock()
		it, ok := c.mailbox.take()
		if !ok {
			c.mailbox.release()
			c.mailbox, c.working = nil, false
			done := c.closed
			c.mu.Unlock()
			if done {
				c.set.conns.Done()
			}
			return
		}
		c.mu.Unlock()
		c.handle(&it)
	}
}

// handleInline handles an event on the reader's goroutine if its Owner does not block and no worker runs for the
// connection; else it returns false.
func (c *Conn) handleInline(it *item) bool {
	c.mu.Lock()
	inline := !c.working && it.socket.inline
	c.working = c.working || inline
	c.mu.Unlock()
	if !inline {
		return false
	}
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.working = c.mailbox != nil; c.working { // something ended a socket meanwhile
			c.set.work(c)
		}
	}()
	c.handle(it)
	return true
}

// handle does what an item says. A panic in it ends this connection only, and so does Goexit, which ends the goroutine
// as well.
func (c *Conn) handle(it *item) {
	returned := false
	defer func() {
		if !returned {
			it.socket.Panicked(recover())
		}
	}()
	s := it.socket
	switch it.kind {
	case itemConnect:
		c.enter(s)
	case itemEvent:
		c.handleEvent(s, it)
	case itemLeave:
		s.leaveRooms()
		s.owner.Leave(s.departure.reason)
	}
	returned = true
}

// handleEvent hands an event to the socket's owner. What is left of a socket that the server has ended is dropped.
func (c *Conn) handleEvent(s *Socket, it *item) {
	if !s.life.handles() || !s.entered {
		c.set.tally.Dropped(tally.Disconnected)
		return
	}
	var e Event
	e.Name, e.Args, _ = it.args.CutName()
	if it.hasID {
		e.Ack = NewAck(s, it.id)
	}
	s.owner.Handle(e)
}

// enter asks the owner whether the socket may connect, and connects or refuses it.
func (c *Conn) enter(s *Socket) {
	if s.life.stage() != pending {
		return // gone before its turn
	}
	if err := s.owner.Enter(s.Context()); err != nil {
		c.turnAway(s, err)
		return
	}
	s.inline = s.owner.Inline()
	switch ok, err := c.answer(s); {
	case err != nil:
		c.turnAway(s, err)
	case ok:
		s.entered = true
		s.owner.Entered()
	}
}

// answer makes the socket a joined one. Broadcasts of other goroutines reach it from the answer on, never before: between
// the two stages they wait for mu, or for what the owner orders them by.
func (c *Conn) answer(s *Socket) (bool, error) {
	if order := s.owner.Order(); order != nil {
		order.Lock()
		defer order.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.life.stage() != pending {
		return false, nil
	}
	p := packet.Packet{Type: packet.Connect, Namespace: s.namespace}
	members, err := s.owner.Admit(packet.AppendString([]byte(`{"sid":`), s.id))
	if err != nil {
		return false, err
	}
	if c.session.Revision() != 3 { // 2.x clients are sent no id
		p.Data = append(members, '}')
	}
	s.life.take(answer)
	if c.door.streams() {
		c.open(p.Data)
	} else {
		s.queuePacket(p)
	}
	c.joined++
	c.stopTimerLocked()
	s.life.take(join)
	c.door.answer(nil)
	return true, nil
}

// turnAway ends a socket that was not connected, and tells its client why.
func (c *Conn) turnAway(s *Socket, cause error) {
	if !c.end(s, end, &departure{cause: cause}) {
		return // gone by itself meanwhile
	}
	switch {
	case errors.Is(cause, ErrLimit):
		c.set.tally.Dropped(tally.Namespaces)
		c.sendAway(engine.Limit)
	case errors.Is(cause, ErrClose):
		c.sendAway(engine.ForcedClose)
	case errors.Is(cause, ErrKicked) && c.door == nil:
		// With a pid of no session, or official clients would say neither that they are recovered nor that they are not.
		answer := packet.AppendString(append(packet.AppendString([]byte(`{"sid":`), s.id), `,"pid":`...), NewPID(c.set.config.Tag()))
		s.queuePacket(packet.Packet{Type: packet.Connect, Namespace: s.namespace, Data: append(answer, '}')})
		s.sendDisconnect(ServerDisconnect)
	default:
		if errors.Is(cause, ErrInvalidNamespace) {
			c.set.tally.Dropped(tally.UnknownNamespace)
		}
		if c.door != nil {
			c.partAs(c.rejection(cause))
			return
		}
		s.queuePacket(c.refusal(s.namespace, cause))
	}
}
