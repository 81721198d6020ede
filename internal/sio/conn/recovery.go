package conn

import (
	"time"

	"github.com/carillon-io/carillon/internal/sio/wire"
	"github.com/carillon-io/carillon/pkg/engine"
)

// Gate holds messages for a client back, which has something else to receive first.
type Gate interface {
	// Put decides about one message. taken: it is not to be sent now; queued: it will be. The gate does not keep m.
	Put(volatile bool, m *wire.Message) (queued, taken bool)
}

// The following are for an owner whose sockets outlive their connections. SetAuth, Number and TakeID may be called only
// before Enter returns.

// Claims reports whether a client of this kind may come back for its session.
func (s *Socket) Claims() bool { return s.conn.session.Revision() == 4 || s.conn.door.streams() }

// SetAuth puts other credentials in the place of those that the client sent.
func (s *Socket) SetAuth(auth []byte) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.life.gone() { // else what was held is counted out
		c.session.Hold(len(auth) - len(s.auth))
		s.auth = auth
	}
}

// Number has events that have an offset end with it.
func (s *Socket) Number() { s.form |= wire.Numbered }

// TakeID gives the socket the id of one whose place it takes.
func (s *Socket) TakeID(id string) { s.id = id }

// Shut has the gate decide about each message from now on; the CONNECT answer and a DISCONNECT pass it.
func (s *Socket) Shut(gate Gate) { s.gate.Store(&gate) }

// Live ends Shut.
func (s *Socket) Live() { s.gate.Store(nil) }

// Pass queues a message for the client past the gate; false: the connection has ended.
func (s *Socket) Pass(m *wire.Message) bool {
	return s.write(false, m) || s.cannotRead(m) && !s.life.gone()
}

// cannotRead reports whether the client's parser cannot carry the message, which then comes to nothing.
func (s *Socket) cannotRead(m *wire.Message) bool {
	return len(m.Frames(s.form, func(error) {})) == 0
}

// Room is engine.Session.AwaitRoom.
func (s *Socket) Room(size int, f func()) bool { return s.conn.session.AwaitRoom(size, f) }

// Abort closes the connection in a way that makes its client come back.
func (s *Socket) Abort() { s.conn.session.SendAway(engine.Limit) }

// Alive is engine.Session.Ping.
func (s *Socket) Alive(within time.Duration, answer func(alive bool)) {
	s.conn.session.Ping(within, answer)
}

// Proof is engine.Session.Proof.
func (s *Socket) Proof() time.Time { return s.conn.session.Proof() }

// Recoverable reports whether a socket that goes for the reason may be one whose client comes back: its connection broke, or
// was closed by a server that leaves.
func (r Reason) Recoverable() bool {
	switch r {
	case TransportClose, TransportError, PingTimeout, ShuttingDown:
		return true
	}
	return false
}
