package socketio

import (
	"context"
	"sync"

	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/internal/sio/hub"
	"github.com/carillon-io/carillon/internal/sio/tally"
	"github.com/carillon-io/carillon/internal/sio/wire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// newSocket makes a socket for a CONNECT.
func (io *Server) newSocket() *conn.Socket {
	s := &Socket{io: io}
	s.conn.Init((*owner)(s))
	return &s.conn
}

// owner is a Socket as its connection sees it.
type owner Socket

var _ conn.Owner = (*owner)(nil)

// Enter makes the socket a member of its namespace, and lets the middlewares and the Logic decide. One that claims a session
// becomes a member only with the answer, until when its rooms are those of the absent socket.
func (o *owner) Enter(ctx context.Context) error {
	s := (*Socket)(o)
	n, err := s.io.acquire(s.conn.Namespace())
	if err != nil {
		return err
	}
	s.nsp = n
	if !n.prepare() {
		return ErrClose
	}
	middlewares, newLogic := n.entry()
	logic, err := s.settleSession(ctx, newLogic)
	if err != nil {
		return err
	}
	if !s.claims() && !n.hub.Add(&s.member, s.ID(), (*recipient)(s)) {
		return ErrClose
	}
	for _, m := range middlewares {
		if err := m(ctx, s); err != nil {
			return err
		}
	}
	if newLogic != nil {
		if logic == nil {
			logic = newLogic(s, s.conn.Shared())
		}
		if err := logic.Enter(ctx); err != nil {
			return err
		}
		s.logic = logic
	}
	s.io.open(n)
	n.hub.Touch(s.place())
	return nil
}

// Inline reports whether the socket has a Logic, whose Handle does not block.
func (o *owner) Inline() bool { return o.logic != nil }

// Order is the order of the namespace's events, into which a socket with a session comes at a certain place.
func (o *owner) Order() sync.Locker {
	if o.stay == nil {
		return nil
	}
	return o.nsp.hub.Log().Order()
}

// Admit counts the socket, and gives its client the session's secret.
func (o *owner) Admit(answer []byte) ([]byte, error) {
	if o.stay != nil {
		if err := (*Socket)(o).begin(); err != nil {
			return nil, err
		}
		answer = packet.AppendString(append(answer, `,"pid":`...), o.stay.session.PID())
	}
	o.nsp.connected.Add(1)
	return answer, nil
}

// Entered calls the connect handlers.
func (o *owner) Entered() {
	if o.stay != nil {
		(*Socket)(o).catchUp()
	}
	if o.nsp.ended() { // Namespace.Close was called before it could find the socket
		o.conn.Disconnect(ServerDisconnect)
	}
	if o.logic != nil {
		o.logic.Entered()
	}
	for _, f := range o.nsp.connectHandlers() {
		f((*Socket)(o))
	}
}

// Handle calls the handlers of an event.
func (o *owner) Handle(e Event) {
	if o.logic != nil {
		o.logic.Handle(e)
		return
	}
	(*Socket)(o).handle(e)
}

// Acknowledge looks for a broadcast that waits for the acknowledgement.
func (o *owner) Acknowledge(id uint64, args packet.Args) bool {
	return o.nsp.hub.Acknowledge(&o.member, id, args)
}

// Gone takes the socket out of its rooms, so that neither room lists nor the cluster wait for its handlers, unless its
// client may come back.
func (o *owner) Gone(reason Reason) {
	o.nsp.connected.Add(-1)
	if s := (*Socket)(o); !s.lose(reason) {
		s.remove()
	}
}

// Leave undoes Enter, whatever stage that had reached. All of it is done even if a handler panics or calls
// runtime.Goexit.
func (o *owner) Leave(reason Reason) {
	s := (*Socket)(o)
	if s.nsp == nil {
		return
	}
	if !s.conn.Entered() {
		defer s.io.release(s.nsp)
		s.abandon()
		s.remove()
		return
	}
	disconnecting, disconnected := s.leaveHandlers()
	last := s.forgetRooms
	if s.lose(reason) {
		defer close(s.stay.quiet)
		last = func() {}
		if r, ok := s.logic.(conn.Recoverer); ok {
			disconnecting = append([]func(Reason){func(Reason) { r.Away() }}, disconnecting...)
		}
	} else {
		defer s.io.release(s.nsp)
		switch m, ok := s.logic.(conn.Mover); {
		case s.stay != nil && s.stay.elsewhere.Load():
			if ok {
				m.Moved()
			}
		case s.logic != nil:
			disconnecting = append([]func(Reason){s.logic.Leave}, disconnecting...)
		}
	}
	defer s.callEach(disconnected, reason)
	defer last()
	s.callEach(disconnecting, reason)
}

// callEach calls disconnect handlers; whatever becomes of one, the next is called too.
func (s *Socket) callEach(handlers []func(Reason), reason Reason) {
	if len(handlers) == 0 {
		return
	}
	returned := false
	defer func() {
		if !returned {
			s.panicked(recover())
		}
		s.callEach(handlers[1:], reason)
	}()
	handlers[0](reason)
	returned = true
}

// panicked counts a panic of a handler, and closes the connection if there is one.
func (s *Socket) panicked(recovered any) {
	if s.Session() == nil {
		s.io.tally.Panicked(recovered)
		return
	}
	s.conn.Panicked(recovered)
}

// forgetRooms makes Rooms and In answer that the socket is in none.
func (s *Socket) forgetRooms() {
	s.remove()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.extrasLocked().left = nil
}

// remove takes the socket out of its rooms, for good. Rooms and In answer from the list that is kept.
func (s *Socket) remove() {
	s.mu.Lock()
	left := s.nsp.hub.Remove(&s.member)
	if len(left) > 0 {
		s.extrasLocked().left = left
	}
	s.mu.Unlock()
	s.nsp.hub.Removed(&s.member, left)
}

// recipient is a Socket as its namespace's hub sees it.
type recipient Socket

var _ hub.Recipient = (*recipient)(nil)

// Connected reports whether the socket is connected.
func (r *recipient) Connected() bool { return r.conn.Connected() }

// Deliver queues a broadcast.
func (r *recipient) Deliver(volatile bool, m *wire.Message) bool {
	if !r.conn.Deliver(volatile, m) {
		return false
	}
	(*Socket)(r).tellInTurn(m)
	return true
}

// Info describes the socket to other nodes.
func (r *recipient) Info() adapter.SocketInfo { return (*Socket)(r).info() }

// Disconnect ends the socket, or its connection.
func (r *recipient) Disconnect(connection bool) {
	if connection {
		(*Socket)(r).CloseConnection()
	} else {
		(*Socket)(r).Disconnect()
	}
}

// call calls a listener of the application's on a goroutine that is not its own.
func (io *Server) call(f func(Event), e Event) {
	returned := false
	defer func() {
		if !returned {
			io.tally.Panicked(recover())
		}
	}()
	f(e)
	returned = true
}

// dropped counts something that came to nothing.
func (io *Server) dropped(reason tally.Drop) { io.tally.Dropped(reason) }
