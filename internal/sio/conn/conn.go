package conn

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/sio/tally"
	"github.com/carillon-io/carillon/internal/sio/wire"
	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
	"go.uber.org/zap"
)

// What ends a connection, besides what the decoder finds.
var (
	errPacketType  = errors.New("socketio: packet type is the server's")
	errJoined      = errors.New("socketio: namespace is joined already")
	errNotJoined   = errors.New("socketio: namespace is not joined")
	errAttachments = errors.New("socketio: attachments do not come")
)

// Conn is one connection and the sockets on it. Its reader, the engine's goroutine that calls Message, never calls a
// handler that may block, so a handler may wait for what only the reader can bring: an acknowledgement.
type Conn struct {
	// Static after construction.
	set     *Set
	session *engine.Session
	door    *door // nil: the client speaks Socket.IO

	// Owned by the reader.
	decoder  packet.Decoder
	overdue  *time.Timer   // while attachments are due
	held     int           // what the decoder holds of a packet that is not complete
	refused  bool          // broke the protocol: further messages are ignored
	connects time.Duration // since the set's start, when the CONNECTs so far are paid for

	mu sync.Mutex // held while a session's Send is called, which does not block; else a leaf
	// mu guards the following.
	working bool        // a worker, or the reader inline, runs handlers
	closed  bool        // the connection has ended
	sockets []*Socket   // at most one for each namespace, from its CONNECT until it leaves
	joined  int         // how many of them have joined
	mailbox *mailbox    // nil when empty
	idle    *time.Timer // while no namespace is joined

	values Values
}

func newConn(set *Set, session *engine.Session) *Conn {
	c := openConn(set, session, nil)
	if c.decoder.NamespaceQuery {
		c.connect(&packet.Packet{Type: packet.Connect, Namespace: "/"})
	}
	return c
}

// openConn makes a connection that has to get a namespace in time.
func openConn(set *Set, session *engine.Session, d *door) *Conn {
	c := &Conn{set: set, session: session, door: d}
	c.decoder.MaxAttachments = set.config.MaxAttachments
	c.decoder.MaxDepth = set.config.MaxDepth
	c.decoder.Parser = set.config.Parser
	c.decoder.NamespaceQuery = session.Revision() == 3
	set.conns.Add(1)
	c.mu.Lock()
	c.awaitNamespaceLocked()
	c.mu.Unlock()
	return c
}

// form is how the client reads packets.
func (c *Conn) form() wire.Form {
	switch {
	case c.door != nil:
		return wire.FormOf(c.door.Protocol)
	case c.decoder.Parser == packet.MsgpackParser:
		return wire.Msgpack
	}
	return 0
}

// Message handles one message of the client's. It blocks while the mailbox is full.
func (c *Conn) Message(data []byte, binary bool) {
	if c.refused {
		return
	}
	if c.door != nil {
		c.takeNative(data, binary)
		return
	}
	decode := c.decoder.Text
	if binary {
		decode = c.decoder.Binary
	}
	p, ok, err := decode(data)
	if err != nil {
		c.refuse(tally.Malformed, err)
		return
	}
	c.awaitAttachments(!ok)
	if !c.hold() || !ok {
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
		c.refuse(tally.Violation, errPacketType)
	}
}

// hold counts what the decoder holds of a packet that is not complete as the session's. Where all clients together hold too
// much, it closes the connection and returns false.
func (c *Conn) hold() bool {
	held := c.decoder.Held()
	if held == c.held {
		return true
	}
	if !c.session.Hold(held - c.held) {
		c.overMemory()
		return false
	}
	c.held = held
	return true
}

// overMemory closes the connection, whose client may try again later.
func (c *Conn) overMemory() {
	c.refused = true
	c.set.tally.Dropped(tally.Memory)
	c.sendAway(engine.Limit)
}

// sendAway closes the connection of a client that is to try again later.
func (c *Conn) sendAway(reason engine.CloseReason) {
	if c.door != nil {
		c.partAs(overload)
		return
	}
	c.session.SendAway(reason)
}

// Closed ends every socket on the connection.
func (c *Conn) Closed(reason engine.CloseReason) {
	c.awaitAttachments(false)
	c.mu.Lock()
	c.closed = true
	gone := c.endAllLocked(leave, &departure{reason: Reason(reason)})
	c.stopTimerLocked()
	done := !c.working
	c.mu.Unlock()
	gone.finish()
	if done {
		c.set.conns.Done()
	}
}

// connect queues a CONNECT. A second one for a namespace that is still being connected is the same wish again; for a
// joined one it breaks the protocol.
func (c *Conn) connect(p *packet.Packet) {
	if !c.mayConnect() {
		c.refused = true
		c.set.tally.Dropped(tally.Connects)
		c.session.SendAway(engine.Limit)
		return
	}
	c.mu.Lock()
	if have := c.findLocked(p.Namespace); have != nil {
		joined := have.life.stage() == joined
		c.mu.Unlock()
		if joined {
			c.refuse(tally.Violation, errJoined)
		}
		return
	}
	var cause error
	switch cfg := &c.set.config; {
	case len(p.Data) > cfg.MaxAuth:
		c.set.tally.Dropped(tally.Auth)
		cause = coded("invalid", fmt.Sprintf("auth is larger than %d bytes", cfg.MaxAuth))
	case len(c.sockets) >= cfg.MaxNamespaces:
		c.set.tally.Dropped(tally.Namespaces)
		cause = coded("limit", fmt.Sprintf("a connection has no more than %d namespaces", cfg.MaxNamespaces))
	}
	if cause != nil {
		c.mu.Unlock()
		c.send(c.refusal(p.Namespace, cause))
		return
	}
	if !c.session.Hold(len(p.Data)) {
		c.mu.Unlock()
		c.overMemory()
		return
	}
	s := c.newSocket(p.Namespace, p.Data)
	c.sockets = append(c.sockets, s)
	c.mu.Unlock()
	c.push(item{socket: s, kind: itemConnect})
}

// mayConnect takes a token from the connection's bucket of CONNECTs: without a bound, a client that leaves and joins in
// a loop would have a namespace's handlers of both run thousands of times a second.
func (c *Conn) mayConnect() bool {
	perSecond, burst := c.set.config.ConnectLimit()
	if perSecond <= 0 {
		return true
	}
	if burst == 0 {
		burst = perSecond
	}
	each := time.Second / time.Duration(perSecond)
	now := time.Since(c.set.start)
	c.connects = max(c.connects, now)
	if c.connects-now > each*time.Duration(burst-1) {
		return false
	}
	c.connects += each
	return true
}

// event queues an event. One that follows its CONNECT without waiting for the answer is queued behind it.
func (c *Conn) event(p *packet.Packet) {
	s := c.find(p.Namespace)
	if s == nil {
		c.refuse(tally.Violation, errNotJoined)
		return
	}
	it := item{socket: s, kind: itemEvent, hasID: p.HasID, id: p.ID, args: p.Args()}
	if !c.handleInline(&it) {
		c.push(it)
	}
}

// ack hands an acknowledgement over at once, past the mailbox: the handler that runs may be the one that waits for it.
func (c *Conn) ack(p *packet.Packet) {
	s := c.find(p.Namespace)
	if s == nil {
		c.refuse(tally.Violation, errNotJoined)
		return
	}
	if !p.HasID || !s.acknowledge(p.ID, p.Args()) {
		c.set.tally.Acks.Unexpected.Inc()
	}
}

// disconnect ends a socket by its client's wish. What was queued before is still handled.
func (c *Conn) disconnect(p *packet.Packet) {
	s := c.find(p.Namespace)
	if s == nil {
		c.refuse(tally.Violation, errNotJoined)
		return
	}
	c.end(s, leave, &departure{reason: ClientDisconnect})
}

// refuse closes the connection of a client that breaks the protocol, without an answer, as Node does.
func (c *Conn) refuse(reason tally.Drop, cause error) {
	c.refused = true
	c.set.tally.Dropped(reason)
	c.set.tally.Log.Debug("connection refused", zap.String("session", c.session.ID()), zap.Error(cause))
	if c.door != nil {
		c.partAs(parting{codeInvalid, "invalid", cause.Error()})
	}
	c.close(leave, cause)
}

// close ends all sockets and the connection.
func (c *Conn) close(by step, cause error) {
	c.mu.Lock()
	gone := c.endAllLocked(by, &departure{reason: ForcedClose, cause: cause})
	c.mu.Unlock()
	gone.finish()
	c.session.Close(engine.ForcedClose)
}

// disconnectAll takes every socket of the connection out of its namespace, tells the client, and closes the connection.
func (c *Conn) disconnectAll() {
	c.mu.Lock()
	for _, s := range c.sockets {
		if s.life.stage() == joined {
			s.sendDisconnect(ServerDisconnect)
		}
	}
	gone := c.endAllLocked(end, &departure{reason: ServerDisconnect})
	c.mu.Unlock()
	gone.finish()
	c.session.Close(engine.ForcedClose)
}

// end ends one socket, and reports whether it had not gone before.
func (c *Conn) end(s *Socket, by step, how *departure) bool {
	c.mu.Lock()
	was, ok := c.endLocked(s, by, how)
	if ok && was == joined && by == end {
		s.sendDisconnect(how.reason)
	}
	c.mu.Unlock()
	if ok {
		departed{s}.finish()
	}
	return ok
}

// departed are sockets that have gone.
type departed []*Socket

// finish does what the end of a socket needs and what must not happen under the connection's lock.
func (d departed) finish() {
	for _, gone := range d {
		gone.failAcks()
		gone.leaveRooms()
	}
}

// leaveRooms calls Gone of a socket that had joined, once. It returns when that is done: Leave, on the worker's goroutine, may
// overtake the one that ended the socket, and must not find the socket in its namespace.
func (s *Socket) leaveRooms() {
	s.departure.gone.Do(func() {
		if s.departure.joined {
			s.owner.Gone(s.departure.reason)
		}
	})
}

// endLocked ends a socket: nothing is sent to it any more, and Leave is called in its turn. It reports false when the
// socket has gone before. The caller unlocks mu and calls finish.
func (c *Conn) endLocked(s *Socket, by step, how *departure) (was stage, ok bool) {
	if s.life.gone() {
		return s.life.stage(), false
	}
	s.departure = how // before the stage, which says that it may be read
	if was, ok = s.life.take(by); !ok {
		return was, false
	}
	how.joined = was == joined
	s.endContext()
	if i := slices.Index(c.sockets, s); i >= 0 {
		c.sockets = slices.Delete(c.sockets, i, i+1)
		c.session.Hold(-len(s.auth))
	}
	if was == joined {
		if c.joined--; c.joined == 0 && !c.closed {
			c.awaitNamespaceLocked()
		}
	}
	c.putLocked(item{socket: s, kind: itemLeave})
	return was, true
}

// endAllLocked is endLocked for every socket of the connection.
func (c *Conn) endAllLocked(by step, how *departure) departed {
	gone := make(departed, 0, len(c.sockets))
	for len(c.sockets) > 0 {
		s := c.sockets[0]
		own := &departure{reason: how.reason, cause: how.cause}
		c.endLocked(s, by, own)
		gone = append(gone, s)
	}
	return gone
}

// awaitAttachments gives the client time for the next attachment when one is due.
func (c *Conn) awaitAttachments(due bool) {
	switch {
	case !due && c.overdue == nil:
	case !due:
		c.overdue.Stop()
		c.overdue = nil
	case c.overdue != nil:
		c.overdue.Reset(c.set.config.AttachmentTimeout)
	default:
		c.overdue = time.AfterFunc(c.set.config.AttachmentTimeout, func() {
			c.set.tally.Dropped(tally.Attachments)
			c.close(leave, errAttachments)
		})
	}
}

// awaitNamespaceLocked closes the connection when it has no namespace for too long.
func (c *Conn) awaitNamespaceLocked() {
	c.stopTimerLocked()
	c.idle = time.AfterFunc(c.set.config.ConnectTimeout, func() {
		c.mu.Lock()
		late := c.joined == 0 && !c.closed
		c.mu.Unlock()
		switch {
		case late && c.door != nil:
			c.late()
		case late:
			c.session.Close(engine.ForcedClose)
		}
	})
}

func (c *Conn) stopTimerLocked() {
	if c.idle != nil {
		c.idle.Stop()
		c.idle = nil
	}
}

// send queues a packet for the client. Only the reader calls it.
func (c *Conn) send(p packet.Packet) bool {
	m := wire.Message{Packet: p}
	frames := m.Frames(c.form(), c.set.cannotEncode)
	return len(frames) > 0 && c.session.Send(false, frames...)
}

func (c *Conn) find(nsp string) *Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.findLocked(nsp)
}

func (c *Conn) findLocked(nsp string) *Socket {
	for _, s := range c.sockets {
		if s.namespace == nsp {
			return s
		}
	}
	return nil
}
