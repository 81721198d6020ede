package socketio

import (
	"context"
	"errors"
	"time"

	"github.com/carillon-io/carillon/internal/recovery"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/internal/sio/hub"
	"github.com/carillon-io/carillon/internal/sio/wire"
)

// A Socket has a type of its own for each part that recovery gives it: recipient for the hub, holder for the connection that
// has the session, sink for what is replayed to, absent for what waits for the client.

// Session is what outlives the socket's connection.
func (r *recipient) Session() *recovery.Session {
	if r.stay == nil {
		return nil
	}
	return r.stay.session
}

// Absent reports whether the connection broke and the client may come back.
func (r *recipient) Absent() bool {
	return r.stay != nil && r.conn.Gone() && r.stay.session.Stands()
}

// Taken reports whether the session was taken from another server.
func (r *recipient) Taken() bool { return r.stay != nil && r.stay.taken }

// Missed removes what is stored of a session that cannot be recovered any more.
func (r *recipient) Missed() { (*Socket)(r).dropKept() }

// holder is a Socket as the connection that holds a session.
type holder Socket

var _ recovery.Holder = (*holder)(nil)

// Alive asks the client for a sign of life.
func (h *holder) Alive(within time.Duration, answer func(bool)) { h.conn.Alive(within, answer) }

// Proof is when the last ping was sent that the client has answered.
func (h *holder) Proof() time.Time { return h.conn.Proof() }

// sink is a Socket as what is replayed to.
type sink Socket

var _ recovery.Sink = (*sink)(nil)

// Send queues a message.
func (k *sink) Send(m *wire.Message) bool { return k.conn.Pass(m) }

// Room reports whether a message may be queued.
func (k *sink) Room(size int, f func()) bool { return k.conn.Room(size, f) }

// Live has events sent as they come.
func (k *sink) Live() { k.conn.Live() }

// Abort closes the connection.
func (k *sink) Abort() { k.conn.Abort() }

// absent is a Socket that waits for its client.
type absent Socket

var _ recovery.Absent = (*absent)(nil)

// absentSize is the memory of a Socket, its connection and its session, beside what the client sent.
const absentSize = 2 << 10

// Rooms appends the rooms that the socket is in.
func (a *absent) Rooms(dst []string) []string { return a.nsp.hub.Rooms(dst, &a.member) }

// Size is the memory that waiting takes.
func (a *absent) Size() int {
	const perRoom = 40
	h := (*Socket)(a).Handshake()
	size := absentSize + len(a.conn.Auth()) + len(h.URL) + perRoom*len(a.nsp.hub.Rooms(nil, &a.member))
	for name, values := range h.Headers {
		size += len(name)
		for _, v := range values {
			size += len(v)
		}
	}
	return size
}

// Over ends the socket for good.
func (a *absent) Over(bool) {
	s := (*Socket)(a)
	defer s.io.release(s.nsp)
	s.remove()
	<-s.stay.quiet
	s.stay.session.Told(s.dropEntry) // the entry leads its client here until it has been sent the disconnect
	s.dropKept()
	if s.logic != nil && !s.endedElsewhere() {
		reason := s.stay.reason
		if kicked := s.stay.kicked.Load(); kicked != nil {
			reason = *kicked
		}
		s.callEach([]func(Reason){s.logic.Leave}, reason)
	}
	s.forgetRooms()
}

// endedElsewhere reports whether the socket, which has come from another node, has ended for backends without this one.
func (s *Socket) endedElsewhere() bool {
	ctx, cancel := context.WithTimeout(context.Background(), s.io.cfg.Recovery.MoveTimeout)
	defer cancel()
	return errors.Is(s.unpack(ctx), conn.ErrEnded)
}

var (
	_ hub.Recoverable  = (*recipient)(nil)
	_ hub.RoomsWatcher = (*recipient)(nil)
	_ hub.Taken        = (*recipient)(nil)
)

// RoomsChanged has the session stored again.
func (r *recipient) RoomsChanged() { (*Socket)(r).keep() }

// Lost has the socket go, which another server has by now.
func (a *absent) Lost() { (*Socket)(a).lost() }

// Lost has the socket go, which another server has by now.
func (h *holder) Lost() { (*Socket)(h).lost() }
