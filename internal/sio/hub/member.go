package hub

import (
	"errors"

	"github.com/carillon-io/carillon/internal/sio/wire"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
)

// Why a socket did not join rooms.
var (
	ErrTooManyRooms = errors.New("socketio: too many rooms")
	ErrGone         = errors.New("socketio: not a member of the namespace")
)

// Member is a recipient's place in a hub, from Add until Remove. The zero Member is in none.
type Member = rooms.Member[Recipient]

// Recipient receives what the members of a namespace are sent. No method may block.
type Recipient interface {
	// Connected reports whether the recipient is past its connect and has not gone. Others are passed over.
	Connected() bool
	// Deliver queues a broadcast; false when the recipient is not connected, or volatile and behind. Recipients share m:
	// it may be used until Deliver returns.
	Deliver(volatile bool, m *wire.Message) bool
	// Info describes the recipient to other nodes, but for its rooms.
	Info() adapter.SocketInfo
	// Disconnect ends the recipient's stay in the namespace, and its whole connection if that is wanted.
	Disconnect(connection bool)
}

// Add makes m a member under the id, in its own room and no other. It reports false when the id is taken.
func (h *Hub) Add(m *Member, id string, r Recipient) bool {
	if !h.watch.on.Load() {
		return h.index.Add(m, id, r)
	}
	h.watch.mu.Lock()
	defer h.watch.mu.Unlock()
	existed := h.index.Holds(id)
	if !h.index.Add(m, id, r) {
		return false
	}
	h.joinedLocked(m, id, existed)
	return true
}

// Replace puts m in the place of a member whose recipient is absent, under its id and in its rooms.
func (h *Hub) Replace(absent, m *Member, r Recipient) bool { return h.index.Replace(absent, m, r) }

// Touch tells the adapter about m's own room, which Add does not: a member may still be refused.
func (h *Hub) Touch(m *Member) { h.adapter.Touch(h.name, m.ID()) }

// Remove takes m out of all its rooms, for good, and returns them, its own first. The caller hands them to Removed.
// Removing again returns nothing.
func (h *Hub) Remove(m *Member) []string {
	if !h.watch.on.Load() {
		return h.index.Remove(nil, m)
	}
	h.watch.mu.Lock()
	defer h.watch.mu.Unlock()
	left := h.index.Remove(nil, m)
	for _, room := range left {
		h.leftLocked(m, room)
	}
	return left
}

// Removed stops waiting for acknowledgements of m, and tells the adapter about the rooms that it has left.
func (h *Hub) Removed(m *Member, left []string) {
	h.rounds.forget(m)
	if len(left) > 0 {
		h.adapter.Touch(h.name, left...)
	}
}

// Join puts m into rooms, all or none.
func (h *Hub) Join(m *Member, names []string) error {
	switch err := h.join(m, names); {
	case errors.Is(err, rooms.ErrTooMany):
		return ErrTooManyRooms
	case err != nil:
		return ErrGone
	}
	h.adapter.Touch(h.name, names...)
	return nil
}

// JoinThen is Join, and calls done once every later publish on any node is certain to reach m, also if this node is killed
// where the adapter keeps sessions, or with the adapter's error. done must not block.
func (h *Hub) JoinThen(m *Member, names []string, done func(error)) {
	if err := h.Join(m, names); err != nil {
		done(err)
		return
	}
	h.confirm(names, []string{m.ID()}, done)
}

// confirm calls done once joins of members hold for certain.
func (h *Hub) confirm(names, ids []string, done func(error)) {
	h.adapter.Confirm(h.name, names, func(err error) {
		if err != nil {
			done(err)
			return
		}
		h.Stored(ids, done)
	})
}

// Stored calls done once the sessions of members are stored as they are now, where the adapter keeps sessions; else at once. done
// must not block.
func (h *Hub) Stored(ids []string, done func(error)) {
	if h.sessions == nil {
		done(nil)
		return
	}
	h.sessions.Stored(ids, done)
}

// Leave takes m out of rooms.
func (h *Hub) Leave(m *Member, names []string) {
	h.leave(m, names)
	h.adapter.Touch(h.name, names...)
}

// Rooms appends the rooms that m is in to dst, its own first.
func (h *Hub) Rooms(dst []string, m *Member) []string { return h.index.Rooms(dst, m) }

// In reports whether m is in the room.
func (h *Hub) In(m *Member, room string) bool { return h.index.Contains(m, room) }

// ByID returns the connected recipient of that id, nil when there is none on this node.
func (h *Hub) ByID(id string) Recipient {
	if m := h.index.ByID(id); m != nil && m.Value().Connected() {
		return m.Value()
	}
	return nil
}

// Holds reports whether a member is in the room, its own room included, or is on its way here and may be.
// A room that passes from one to the other meanwhile is held all the time: what is published for it is not to be missed.
func (h *Hub) Holds(room string) bool {
	for {
		before := h.moving.changes.Load()
		switch {
		case h.log != nil && h.log.Moving() && h.moving.holds(room) || h.index.Holds(room):
			return true
		case h.moving.changes.Load() == before:
			return false
		}
	}
}

// Count reports how many rooms there are, without members' own rooms.
func (h *Hub) Count() int {
	all, own := h.index.Count()
	return all - own
}

func (h *Hub) join(m *Member, names []string) error {
	if s := h.session(m); s != nil {
		h.log.Freeze()
		defer h.log.Thaw()
		defer roomsChanged(m)
		return h.joinNoted(m, s, names)
	}
	return h.joinWatched(m, names)
}

func (h *Hub) joinWatched(m *Member, names []string) error {
	limit := h.maxRooms()
	if !h.watch.on.Load() {
		return h.index.Join(m, limit, names...)
	}
	h.watch.mu.Lock()
	defer h.watch.mu.Unlock()
	existed := make(map[string]bool, len(names)) // of those it is not in
	for _, room := range names {
		if !h.index.Contains(m, room) {
			existed[room] = h.index.Holds(room)
		}
	}
	if err := h.index.Join(m, limit, names...); err != nil {
		return err
	}
	for _, room := range names {
		if had, isNew := existed[room]; isNew {
			h.joinedLocked(m, room, had)
			delete(existed, room)
		}
	}
	return nil
}

func (h *Hub) leave(m *Member, names []string) {
	if s := h.session(m); s != nil {
		h.log.Freeze()
		defer h.log.Thaw()
		defer roomsChanged(m)
		for _, room := range names {
			if h.index.Contains(m, room) {
				h.leaveWatched(m, []string{room})
				s.Changed(room, true)
			}
		}
		return
	}
	h.leaveWatched(m, names)
}

func (h *Hub) leaveWatched(m *Member, names []string) {
	if !h.watch.on.Load() {
		h.index.Leave(m, names...)
		return
	}
	h.watch.mu.Lock()
	defer h.watch.mu.Unlock()
	for _, room := range names {
		if h.index.Contains(m, room) {
			h.index.Leave(m, room)
			h.leftLocked(m, room)
		}
	}
}

func roomsChanged(m *Member) {
	if r, ok := m.Value().(RoomsWatcher); ok {
		r.RoomsChanged()
	}
}
