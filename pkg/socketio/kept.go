package socketio

import (
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/recovery"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/internal/sio/wire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
)

// keepSessions has sessions kept where every server finds them, if the adapter can do that.
func (io *Server) keepSessions() {
	if io.sessions = adapter.SessionsOf(io.cfg.Adapter); io.sessions != nil {
		io.sessions.Window(io.cfg.Recovery.Window)
	}
}

// kept is a Socket as the session that is stored.
type kept Socket

var _ adapter.KeptSession = (*kept)(nil)

// beginKeeping stores the session of a socket that is about to be connected. The caller has the turn.
func (s *Socket) beginKeeping(begin string) {
	if s.io.sessions == nil {
		return
	}
	if _, ok := s.describeLogic(); !ok {
		return
	}
	s.stay.begin = begin
	s.stay.keeping.start()
	if d, ok := s.logic.(conn.Describer); ok {
		d.Watch(s.keep, s.dropKept)
	}
	s.keep()
}

// describeLogic is what the Logic keeps for another server; false: it cannot go on there.
func (s *Socket) describeLogic() (state []byte, ok bool) {
	if a := s.stay.arrived; a != nil { // the Logic unpacks it on another goroutine, and changes nothing without a connection
		return a.packed, true
	}
	if s.logic == nil {
		return nil, true
	}
	d, ok := s.logic.(conn.Describer)
	if !ok {
		return nil, false
	}
	return d.Describe()
}

// keep stores the session as it is now.
func (s *Socket) keep() {
	if s.stay != nil {
		s.stay.keeping.do(func() { s.io.sessions.Keep(s.ID(), (*kept)(s)) })
	}
}

// dropKept removes the stored session of a socket that is over.
func (s *Socket) dropKept() {
	if s.stay != nil && s.stay.keeping.stop() {
		s.io.sessions.Drop(s.ID())
	}
}

// keeping is whether a Socket stores its session. Once it has stopped, it stores nothing: another Socket may do so by then.
type keeping struct {
	mu sync.Mutex
	on bool // mu guards it
}

func (k *keeping) start() {
	k.mu.Lock()
	k.on = true
	k.mu.Unlock()
}

func (k *keeping) isOn() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.on
}

// stop reports whether it was on.
func (k *keeping) stop() (was bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	was, k.on = k.on, false
	return was
}

// do calls f, which must not block, while it is on.
func (k *keeping) do(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.on {
		f()
	}
}

// Describe returns the session.
func (k *kept) Describe() adapter.Session {
	s := (*Socket)(k)
	d := adapter.Session{
		ID: s.ID(), PID: s.stay.session.PID(), Namespace: s.nsp.name, Begin: s.stay.begin,
		At: s.io.sessions.Position(s.nsp.name), // before the rooms are read, which may be newer
	}
	d.Rooms = s.nsp.hub.Rooms(nil, s.place())
	if data := s.Data(); data != nil {
		d.Data = s.io.conns.JSON(data)
	}
	d.State, _ = s.describeLogic()
	if away := s.stay.away.Load(); away != 0 {
		d.Away = time.Unix(0, away)
	}
	return d
}

// Taken has the socket go without its being over: another server goes on with it.
func (k *kept) Taken() {
	s := (*Socket)(k)
	s.io.moves.start(s.lost)
}

// lost is Taken for a caller that may wait. The session ends and the socket's id becomes free in one turn: the client may be on
// its way back to this server, where the session then begins anew under that id.
func (s *Socket) lost() {
	s.stay.keeping.stop()
	s.stay.elsewhere.Store(true)
	log := s.nsp.hub.Log()
	log.Begin()
	standing, holding := s.stay.session.Forget() // perhaps of a socket that has taken the place of this one meanwhile
	a, _ := standing.(*absent)
	h, _ := holding.(*holder)
	for _, other := range []*Socket{(*Socket)(a), (*Socket)(h)} {
		if other != nil {
			other.stay.keeping.stop()
			other.stay.elsewhere.Store(true)
			other.remove()
		}
	}
	log.End()
	switch {
	case a != nil:
		(*Socket)(a).moveOut()
	case h != nil: // half-open, or its client has come back elsewhere while this connection stood
		h.conn.Abort()
	}
}

// moveOut forgets an absent socket that is another server's.
func (s *Socket) moveOut() {
	if m, ok := s.logic.(conn.Mover); ok {
		m.Moved()
	}
	s.forgetRooms()
	s.io.release(s.nsp)
}

// publishOwn publishes an event for this socket alone to its own room: the cluster's order gives it an offset.
func (s *Socket) publishOwn(m *wire.Message) error {
	if !s.stay.session.Stands() {
		return ErrDisconnected
	}
	s.nsp.hub.Publish(adapter.Broadcast{
		Namespace: s.nsp.name, Args: m.Args(), Target: rooms.Target{Rooms: []string{s.ID()}}, NoCompress: m.NoCompress,
	}, false, nil)
	return nil
}

// position is an entry up to which this node has been delivered everything. The caller has the turn, or something may follow
// in this moment.
func (n *Namespace) position() string {
	here, there := n.hub.Log().At(), n.io.sessions.Position(n.name)
	if here == "" || recovery.Before(here, there) {
		return there
	}
	return here
}
