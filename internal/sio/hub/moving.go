package hub

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/carillon-io/carillon/internal/recovery"
	"github.com/carillon-io/carillon/internal/recovery/move"
	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/rooms"
)

// moving is what a hub does for members that change nodes.
type moving struct {
	fencer  adapter.Fencer // static; nil: members stay
	changes atomic.Uint64  // of held

	mu sync.Mutex
	// mu guards the following. Nothing is called under it.
	held     map[string]int // rooms that are held for members on their way here
	expected int            // how many those are
	joined   []string       // rooms held besides, because commands made sockets join them meanwhile
	fences   []fencing      // that wait for a turn
}

// fencing is what waits for the next fence.
type fencing struct {
	rooms []string
	cut   func(f move.Fence, lanes []move.Lane)
	done  func(error)
}

// Moves reports whether members can change nodes.
func (h *Hub) Moves() bool { return h.log != nil && h.moving.fencer != nil }

// Hold has this node receive what is for rooms, as if a member were in them, until release is called.
func (h *Hub) Hold(names []string) (release func()) {
	m := &h.moving
	m.mu.Lock()
	if m.held == nil {
		m.held = make(map[string]int)
	}
	for _, name := range names {
		m.held[name]++
	}
	m.expected++
	m.changes.Add(1)
	m.mu.Unlock()
	h.adapter.Touch(h.name, names...)
	return func() { h.releaseHeld(names) }
}

func (h *Hub) releaseHeld(names []string) {
	m := &h.moving
	m.mu.Lock()
	names = slices.Clone(names)
	for _, name := range names {
		m.dropLocked(name)
	}
	if m.expected--; m.expected == 0 {
		for _, name := range m.joined {
			m.dropLocked(name)
		}
		names = append(names, m.joined...)
		m.joined = nil
	}
	m.changes.Add(1)
	m.mu.Unlock()
	h.adapter.Touch(h.name, names...)
}

func (m *moving) dropLocked(name string) {
	if m.held[name]--; m.held[name] == 0 {
		delete(m.held, name)
	}
}

// holds reports whether a room is held for members on their way here.
func (m *moving) holds(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held[name] > 0
}

// holdJoined holds rooms that a command makes sockets join, for members on their way here may be among those.
func (h *Hub) holdJoined(names []string) {
	m := &h.moving
	m.mu.Lock()
	var fresh []string
	for _, name := range names {
		if m.expected > 0 && !slices.Contains(m.joined, name) {
			name = strings.Clone(name)
			m.held[name]++
			m.joined, fresh = append(m.joined, name), append(fresh, name)
		}
	}
	m.changes.Add(1)
	m.mu.Unlock()
	if len(fresh) > 0 {
		h.adapter.Touch(h.name, fresh...)
	}
}

// Follow has commands and fences come with their lanes until stop is called.
func (h *Hub) Follow() (stop func()) { return h.moving.fencer.Follow(h.name) }

// ConfirmLanes is the Fencer's.
func (h *Hub) ConfirmLanes(names []string, done func([]move.Lane, error)) {
	h.moving.fencer.ConfirmLanes(h.name, names, func(lanes []adapter.Lane, err error) { done(lanesOf(lanes), err) })
}

// Whole reports whether none of the lanes was broken.
func (h *Hub) Whole(lanes []move.Lane) bool {
	list := make([]adapter.Lane, len(lanes))
	for i, lane := range lanes {
		list[i] = adapter.Lane(lane)
	}
	return h.moving.fencer.Whole(list)
}

// Fence publishes a fence, one for all that wait for one at the time, to where commands for the namespace and rooms go. cut is
// called in the turn in which that happens, done once the fence is back or will not be. Both must not block.
func (h *Hub) Fence(names []string, cut func(f move.Fence, lanes []move.Lane), done func(error)) {
	m := &h.moving
	m.mu.Lock()
	m.fences = append(m.fences, fencing{names, cut, done})
	first := len(m.fences) == 1
	m.mu.Unlock()
	if !first {
		return // the first one takes it along
	}
	var settled settlement // done may follow only when every cut has been made
	h.log.Begin()
	m.mu.Lock()
	list := m.fences
	m.fences = nil
	m.mu.Unlock()
	var all []string
	for _, w := range list {
		all = append(all, w.rooms...)
	}
	slices.Sort(all)
	f, lanes := m.fencer.Fence(h.name, slices.Compact(all), settled.callback(func(err error) {
		for _, w := range list {
			w.done(err)
		}
	}))
	for _, w := range list {
		w.cut(move.Fence(f), lanesOf(lanes))
	}
	h.log.End()
	settled.release()
}

func lanesOf(lanes []adapter.Lane) []move.Lane {
	list := make([]move.Lane, len(lanes))
	for i, lane := range lanes {
		list[i] = move.Lane(lane)
	}
	return list
}

// Arrive applies a command of another node in its place, and notes it for members on their way. One of this node's own is
// only noted.
func (h *Hub) Arrive(c adapter.Command, at adapter.Arrival) (members int) {
	if _, event := c.(adapter.ServerEmit); event || h.log == nil {
		if at.Own || at.Stored {
			return 0
		}
		return h.apply(c)
	}
	h.log.Begin()
	defer h.log.End()
	if at.Offset != "" {
		if b, event := c.(adapter.Broadcast); event && !b.Volatile {
			// Not before the log has the event: a session that catches up meanwhile, without the turn, would go on behind its place and
			// never be sent it.
			defer h.log.Reach(at.Offset)
		} else {
			h.log.Reach(at.Offset)
		}
		if d, ok := c.(adapter.Disconnect); ok {
			h.log.Ban(at.Offset, d.Target)
		}
	}
	if h.log.Moving() {
		if noted, ok := Note(c); ok {
			h.log.Arrive(move.Lane(at.Lane), at.Own, noted)
		}
		if join, ok := c.(adapter.Join); ok {
			h.holdJoined(join.Rooms)
		}
	}
	switch d, ends := c.(adapter.Disconnect); {
	case at.Own:
		return 0
	case at.Stored && ends:
		return h.endTaken(d)
	}
	return h.do(c)
}

// Taken is a Recipient that a session from another server may go on in.
type Taken interface {
	// Taken reports whether it is so. The caller has the turn.
	Taken() bool
}

// endTaken disconnects the members that match and whose sessions were taken from another server.
func (h *Hub) endTaken(d adapter.Disconnect) (members int) {
	h.command(d.Target, func(m *Member) {
		if t, ok := m.Value().(Taken); ok && t.Taken() {
			m.Value().Disconnect(d.Close)
			members++
		}
	})
	return members
}

// Holed is a Recipient that may have missed events.
type Holed interface {
	// Missed is called when it may have. The caller has the turn.
	Missed()
}

// Missed notes that commands may have been missed. Connected clients stay connected, but their sessions cannot be recovered any
// more: a client whose connection breaks gets a new socket, and so learns that it has missed something.
func (h *Hub) Missed() {
	if h.log == nil {
		return
	}
	h.log.Begin()
	defer h.log.End()
	h.log.Missed()
	h.command(rooms.Target{}, func(m *Member) {
		if r, ok := m.Value().(Holed); ok {
			r.Missed()
		}
	})
}

// Fenced notes a fence in its place.
func (h *Hub) Fenced(f adapter.Fence, lane adapter.Lane) {
	if h.log == nil {
		return
	}
	h.log.Begin()
	defer h.log.End()
	h.log.Back(move.Fence(f), move.Lane(lane))
}

// Note is a command as members on their way see it; false: it is nothing to them.
func Note(c adapter.Command) (recovery.Command, bool) {
	switch c := c.(type) {
	case adapter.Broadcast:
		return recovery.Command{
			Kind: move.Event, Target: c.Target,
			Event: recovery.Event{Args: c.Args, Target: c.Target, NoCompress: c.NoCompress, Offset: c.Offset},
		}, !c.Volatile
	case adapter.Join:
		return recovery.Command{Kind: move.Join, Target: c.Target, Rooms: c.Rooms}, true
	case adapter.Leave:
		return recovery.Command{Kind: move.Leave, Target: c.Target, Rooms: c.Rooms}, true
	case adapter.Disconnect:
		return recovery.Command{Kind: move.Kick, Target: c.Target}, true
	}
	return recovery.Command{}, false
}

// Install makes an absent recipient a member in rooms, its own among them. The caller has the turn. It reports false when the
// id is taken.
func (h *Hub) Install(m *Member, id string, r Recipient, names []string) bool {
	if !h.Add(m, id, r) {
		return false
	}
	_ = h.joinWatched(m, names) // the limit has been applied where it joined them
	h.adapter.Touch(h.name, append(slices.Clip(names), id)...)
	return true
}
