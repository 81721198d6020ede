package socketio

import (
	"slices"
	"sync"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"go.uber.org/zap"
)

// client is one connection and the sockets on it. What the engine reads comes in here:
//
//	Message ──┬── ACK, DISCONNECT ── at once ──► socket
//	          └── CONNECT, EVENT ──► mailbox ──► worker ──► middlewares, handlers
//
// The reader never calls a handler, so a handler may wait for what only the reader can bring, an acknowledgement: unless
// the socket has a Logic, which promises that none waits.
type client struct {
	// Static after construction.
	io      *Server
	session *engine.Session

	// Owned by the reader.
	decoder packet.Decoder
	overdue *time.Timer // while attachments are due
	refused bool        // broke the protocol: whatever follows is not looked at

	mu sync.Mutex // held while a session's Send is called, which waits for nobody; else a leaf
	// mu guards the following.
	working bool        // a worker drains the mailbox
	closed  bool        // the connection has ended
	sockets []*Socket   // at most one for each namespace, from its CONNECT until it leaves
	joined  int         // how many of them are connected
	mailbox *mailbox    // nil when empty
	idle    *time.Timer // while no namespace is joined

	values Values
}

func newClient(io *Server, s *engine.Session) *client {
	c := &client{io: io, session: s}
	c.decoder.MaxAttachments = io.cfg.MaxAttachments
	c.decoder.MaxDepth = io.cfg.MaxDepth
	c.decoder.Parser = io.cfg.Parser
	c.decoder.NamespaceQuery = s.Revision() == 3
	io.clients.Add(1)
	c.mu.Lock()
	c.awaitNamespaceLocked()
	c.mu.Unlock()
	if c.decoder.NamespaceQuery {
		c.connect(&packet.Packet{Type: packet.Connect, Namespace: "/"})
	}
	return c
}

// Message takes one message of the client's. It waits while the mailbox is full.
func (c *client) Message(data []byte, binary bool) {
	if c.refused {
		return
	}
	decode := c.decoder.Text
	if binary {
		decode = c.decoder.Binary
	}
	p, ok, err := decode(data)
	if err != nil {
		c.refuse(dropMalformed, err)
		return
	}
	c.awaitAttachments(!ok)
	if !ok {
		return
	}
	switch p.Type {
	case packet.Connect:
		c.connect(&p)
	case packet.Event:
		c.event(&p)
	case packet.Ack:
		c.ack(&p)
	case packet.Disconnect:
		c.disconnect(&p)
	default:
		c.refuse(dropViolation, errPacketType)
	}
}

// Closed ends the stay of every socket on the connection.
func (c *client) Closed(reason engine.CloseReason) {
	c.awaitAttachments(false)
	c.mu.Lock()
	c.closed = true
	gone := c.endAllLocked(stateLeft, &end{reason: string(reason)})
	c.stopTimerLocked()
	done := !c.working
	c.mu.Unlock()
	failAcks(gone)
	if done {
		c.io.clients.Done()
	}
}

// connect queues a CONNECT. A second one for a namespace that is still being connected is the same wish again; for a
// connected one it breaks the protocol.
func (c *client) connect(p *packet.Packet) {
	c.mu.Lock()
	if have := c.findLocked(p.Namespace); have != nil {
		connected := have.state.Load() == stateConnected
		c.mu.Unlock()
		if connected {
			c.refuse(dropViolation, errJoined)
		}
		return
	}
	if len(c.sockets) >= c.io.cfg.MaxNamespaces {
		c.mu.Unlock()
		c.refused = true
		c.io.metrics.dropped(dropNamespaces)
		c.session.Close(engine.Limit)
		return
	}
	s := newSocket(c, p.Namespace, p.Data, c.decoder.Parser == packet.MsgpackParser)
	c.sockets = append(c.sockets, s)
	c.mu.Unlock()
	c.push(item{socket: s, kind: itemConnect})
}

// event queues an event. One that follows its CONNECT without waiting for the answer is queued behind it.
func (c *client) event(p *packet.Packet) {
	s := c.find(p.Namespace)
	if s == nil {
		c.refuse(dropViolation, errNotJoined)
		return
	}
	it := item{socket: s, kind: itemEvent, hasID: p.HasID, id: p.ID, args: p.Args()}
	if !c.handleInline(&it) {
		c.push(it)
	}
}

// ack hands an acknowledgement to who waits for it, past the mailbox: its own handler may be the one that waits.
func (c *client) ack(p *packet.Packet) {
	s := c.find(p.Namespace)
	if s == nil {
		c.refuse(dropViolation, errNotJoined)
		return
	}
	if !p.HasID || !s.acknowledge(p.ID, p.Args()) {
		c.io.metrics.acks.unexpected.Inc()
	}
}

// disconnect ends a socket's stay by its client's wish. What was queued before is still handled.
func (c *client) disconnect(p *packet.Packet) {
	c.mu.Lock()
	s := c.findLocked(p.Namespace)
	if s != nil {
		c.endLocked(s, stateLeft, &end{reason: reasonClient})
	}
	c.mu.Unlock()
	if s == nil {
		c.refuse(dropViolation, errNotJoined)
		return
	}
	s.failAcks()
}

// refuse closes the connection of a client that breaks the protocol, without an answer, as Node does.
func (c *client) refuse(reason dropReason, cause error) {
	c.refused = true
	c.io.metrics.dropped(reason)
	c.io.log.Debug("connection refused", zap.String("session", c.session.ID()), zap.Error(cause))
	c.close(stateLeft, cause)
}

// close ends all sockets' stay and the connection.
func (c *client) close(to state, cause error) {
	c.mu.Lock()
	gone := c.endAllLocked(to, &end{string(engine.ForcedClose), cause})
	c.mu.Unlock()
	failAcks(gone)
	c.session.Close(engine.ForcedClose)
}

// awaitAttachments gives the client time for the next attachment when one is due.
func (c *client) awaitAttachments(due bool) {
	switch {
	case !due && c.overdue == nil:
	case !due:
		c.overdue.Stop()
		c.overdue = nil
	case c.overdue != nil:
		c.overdue.Reset(c.io.cfg.AttachmentTimeout)
	default:
		c.overdue = time.AfterFunc(c.io.cfg.AttachmentTimeout, func() {
			c.io.metrics.dropped(dropAttachments)
			c.close(stateLeft, errAttachments)
		})
	}
}

func (c *client) find(nsp string) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.findLocked(nsp)
}

func (c *client) findLocked(nsp string) *Socket {
	for _, s := range c.sockets {
		if s.name == nsp {
			return s
		}
	}
	return nil
}

// endLocked ends s's stay: nothing is sent to it any more, and its handlers are told in their turn. It reports false
// when that has happened before. The caller lets go of mu and calls failAcks.
func (c *client) endLocked(s *Socket, to state, how *end) bool {
	was := s.state.Load()
	if was >= stateLeft {
		return false
	}
	s.end = how
	s.state.Store(to)
	if i := slices.Index(c.sockets, s); i >= 0 {
		c.sockets = slices.Delete(c.sockets, i, i+1)
	}
	s.endContext()
	if was == stateConnected {
		s.nsp.connected.Add(-1)
		s.nsp.rounds.forget(s)
		if c.joined--; c.joined == 0 && !c.closed {
			c.awaitNamespaceLocked()
		}
	}
	c.putLocked(item{socket: s, kind: itemLeave})
	return true
}

// endAllLocked is endLocked for every socket of the connection.
func (c *client) endAllLocked(to state, how *end) []*Socket {
	gone := slices.Clone(c.sockets)
	for _, s := range gone {
		c.endLocked(s, to, how)
	}
	return gone
}

// awaitNamespaceLocked closes the connection when it has no namespace for too long.
func (c *client) awaitNamespaceLocked() {
	c.stopTimerLocked()
	c.idle = time.AfterFunc(c.io.cfg.ConnectTimeout, func() {
		c.mu.Lock()
		late := c.joined == 0 && !c.closed
		c.mu.Unlock()
		if late {
			c.session.Close(engine.ForcedClose)
		}
	})
}

func (c *client) stopTimerLocked() {
	if c.idle != nil {
		c.idle.Stop()
		c.idle = nil
	}
}

// closeAll takes every socket of the connection out of its namespace, tells the client, and closes the connection.
func (c *client) closeAll() {
	c.mu.Lock()
	for _, s := range c.sockets {
		if s.state.Load() == stateConnected {
			s.tellDisconnect()
		}
	}
	gone := c.endAllLocked(stateEnded, &end{reason: reasonServer})
	c.mu.Unlock()
	failAcks(gone)
	c.session.Close(engine.ForcedClose)
}
