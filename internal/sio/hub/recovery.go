package hub

import (
	"sync"

	"github.com/carillon-io/carillon/internal/recovery"
	"github.com/carillon-io/carillon/internal/sio/wire"
	"github.com/carillon-io/carillon/pkg/adapter"
)

// Recoverable is a Recipient that may be absent for a while, and is then sent what it missed.
type Recoverable interface {
	Recipient
	// Session is what outlives the recipient's connection; nil: nothing does.
	Session() *recovery.Session
	// Absent reports whether the connection broke and the session still stands: commands apply to the recipient then.
	Absent() bool
}

// RoomsWatcher is a Recoverable that is to notice in which rooms it is.
type RoomsWatcher interface {
	// RoomsChanged is called after the recipient has joined or left rooms. It must not block.
	RoomsChanged()
}

func isAbsent(r Recipient) bool {
	a, ok := r.(Recoverable)
	return ok && a.Absent()
}

// session returns that of a member, nil when it has none.
func (h *Hub) session(m *Member) *recovery.Session {
	if h.log == nil {
		return nil
	}
	if r, ok := m.Value().(Recoverable); ok {
		return r.Session()
	}
	return nil
}

// Echoes reports whether events come in the order that the cluster gives them.
func (h *Hub) Echoes() bool { return h.adapter.Echoes() }

// Log is what members are sent again from; nil: nothing is kept.
func (h *Hub) Log() *recovery.Log { return h.log }

// publishInTurn is Publish for a command whose place in the log, with every member and in the queue of the cluster is to be the
// same.
func (h *Hub) publishInTurn(c adapter.Command, local bool, published func(error)) {
	var settled settlement
	h.log.Begin()
	if !local && h.log.Moving() {
		if noted, ok := Note(c); ok {
			h.log.Publish(noted)
		}
	}
	h.do(c)
	switch {
	case local:
		settled.callback(published)(nil)
	case published == nil:
		h.adapter.Publish(c, nil)
	default:
		h.adapter.Publish(c, settled.callback(published))
	}
	h.log.End()
	settled.release()
}

// deliverInTurn gives a broadcast its place and sends it to the members that are in its rooms at that moment. A volatile
// one gets no place, but tells its recipients the present one: clients take any text at an event's end for an offset. So does
// one that has no place in the order of all nodes where the adapter keeps one.
func (h *Hub) deliverInTurn(b *adapter.Broadcast) (sent int) {
	h.log.Freeze()
	list := h.selected(b.Target)
	defer done(list)
	if len(*list) == 0 {
		h.log.Thaw()
		return 0
	}
	message := h.borrow(b)
	defer giveBack(message)
	kept := !b.Volatile && (b.Offset != "" || !h.adapter.Echoes())
	if kept {
		message.Offset = h.log.Append(recovery.Event{Args: b.Args, Target: b.Target, NoCompress: b.NoCompress, Offset: b.Offset})
	}
	h.log.Thaw()
	if !kept {
		message.Offset = h.log.Present()
	}
	sent = h.send(*list, b.Volatile, message)
	if kept {
		h.log.Delivered()
	}
	return sent
}

// SendTo sends an event to the client of one session, by send unless it is absent: then it receives the event once it is
// back. ErrGone: the session is over.
func (h *Hub) SendTo(s *recovery.Session, volatile bool, m *wire.Message, send func(*wire.Message) error) error {
	h.log.Begin()
	defer h.log.End()
	if volatile {
		m.Offset = h.log.Present()
		return send(m)
	}
	h.log.Freeze()
	m.Offset = h.log.Append(recovery.Event{Args: m.Args(), Session: s, NoCompress: m.NoCompress})
	h.log.Thaw()
	if m.Offset == "" {
		return ErrGone
	}
	err := send(m)
	h.log.Delivered()
	return err
}

// joinNoted is join for a member with a session. The log is frozen.
func (h *Hub) joinNoted(m *Member, s *recovery.Session, names []string) error {
	fresh := make([]string, 0, 8) // rooms that it is not in
	for _, room := range names {
		if !h.index.Contains(m, room) {
			fresh = append(fresh, room)
		}
	}
	if err := h.joinWatched(m, names); err != nil {
		return err
	}
	for _, room := range fresh {
		s.Changed(room, false)
	}
	return nil
}

// settlement keeps the result of a publish until the turn is over: what is told about it may want a turn itself.
type settlement struct {
	mu        sync.Mutex
	over      bool  // the turn
	called    bool  // before that
	err       error // with which
	publisher func(error)
}

// callback returns what the adapter calls.
func (s *settlement) callback(published func(error)) func(error) {
	if published == nil {
		return func(error) {}
	}
	s.publisher = published
	return func(err error) {
		s.mu.Lock()
		if !s.over {
			s.called, s.err = true, err
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		published(err)
	}
}

// release calls the publisher if that was due during the turn.
func (s *settlement) release() {
	s.mu.Lock()
	s.over = true
	called := s.called
	s.mu.Unlock()
	if called {
		s.publisher(s.err)
	}
}
