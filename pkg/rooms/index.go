package rooms

import (
	"errors"
	"strings"
	"sync"
)

// Why a Join was refused.
var (
	ErrGone    = errors.New("rooms: member is not in the index")
	ErrTooMany = errors.New("rooms: too many rooms")
)

// Index holds the members of one namespace and their rooms. New makes one.
type Index[M any] struct {
	mu sync.RWMutex // a leaf: nothing outside this package is called under it

	// mu guards the following.
	members []*Member[M] // in no order
	ids     table[*Member[M]]
	rooms   table[*room[M]]
	named   int // rooms whose name is a member's id
	virtual int // members in their own room where no room of that name exists
}

// New returns an empty index.
func New[M any]() *Index[M] { return &Index[M]{} }

// Add makes m a member, in its own room and no other, and selectable at once. It reports false and changes nothing when
// the id is taken or m was added before.
func (x *Index[M]) Add(m *Member[M], id string, value M) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if m.state != fresh || x.ids.m[id] != nil {
		return false
	}
	m.id, m.value = id, value
	m.state, m.own = present, true
	m.at = int32(len(x.members))
	x.members = append(x.members, m)
	x.ids.put(id, m)
	if r := x.rooms.m[id]; r != nil {
		r.owner = m
		x.named++
	} else {
		x.virtual++
	}
	return true
}

// Remove takes m out of all its rooms and out of the index, for good, and appends the rooms it was in to dst, its own
// first. Removing again does nothing.
func (x *Index[M]) Remove(dst []string, m *Member[M]) []string {
	x.mu.Lock()
	defer x.mu.Unlock()
	if m.state != present {
		return dst
	}
	dst = m.appendRooms(dst)
	x.setOwnLocked(m, false)
	for _, p := range m.places {
		x.vacateLocked(p)
	}
	if r := x.rooms.m[m.id]; r != nil {
		r.owner = nil
		x.named--
	}
	x.ids.remove(m.id)
	x.members[len(x.members)-1].at = m.at
	x.members = swapRemove(x.members, int(m.at))
	m.state, m.places, m.where = gone, nil, nil
	return dst
}

// Replace puts one member in the place of another: under the same id and in the same rooms, without a moment in which
// neither is selected. It reports false and changes nothing when old is not in the index or m was added before.
func (x *Index[M]) Replace(old, m *Member[M], value M) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if m.state != fresh || old.state != present {
		return false
	}
	m.id, m.value = old.id, value
	m.state, m.own, m.at = present, old.own, old.at
	m.places, m.where = old.places, old.where
	x.members[m.at] = m
	x.ids.put(m.id, m)
	if r := x.rooms.m[m.id]; r != nil {
		r.owner = m
	}
	for _, p := range m.places {
		p.room.members[p.at] = m
	}
	old.state, old.places, old.where = gone, nil, nil
	return true
}

// Join puts m into rooms, all of them or none. It is ErrTooMany when m would then be in more than limit rooms, its own
// not counted (0: no limit), and ErrGone before Add and after Remove. Rooms that m is in already are passed over.
func (x *Index[M]) Join(m *Member[M], limit int, rooms ...string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if m.state != present {
		return ErrGone
	}
	before := len(m.places)
	own := m.own
	for _, name := range rooms {
		if name == m.id {
			own = true
			continue
		}
		r := x.rooms.m[name]
		if r != nil && m.position(r) >= 0 {
			continue
		}
		if limit > 0 && len(m.places) >= limit {
			for len(m.places) > before {
				x.leaveLocked(m, len(m.places)-1)
			}
			return ErrTooMany
		}
		if r == nil {
			r = x.makeLocked(name)
		}
		m.addPlace(place[M]{room: r, at: int32(len(r.members))})
		r.members = append(r.members, m)
	}
	x.setOwnLocked(m, own)
	return nil
}

// Leave takes m out of rooms; those it is not in are passed over. A member that has left its own room is no longer
// selected or excepted by its id.
func (x *Index[M]) Leave(m *Member[M], rooms ...string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, name := range rooms {
		if name == m.id {
			x.setOwnLocked(m, false)
		} else if r := x.rooms.m[name]; r != nil {
			if i := m.position(r); i >= 0 {
				x.leaveLocked(m, i)
			}
		}
	}
}

// setOwnLocked puts m into its own room or takes it out.
func (x *Index[M]) setOwnLocked(m *Member[M], own bool) {
	if m.own == own {
		return
	}
	m.own = own
	if x.rooms.m[m.id] != nil {
		return
	}
	if own {
		x.virtual++
	} else {
		x.virtual--
	}
}

// leaveLocked ends m's stay in the room at m.places[i].
func (x *Index[M]) leaveLocked(m *Member[M], i int) {
	p := m.places[i]
	m.removePlace(i)
	x.vacateLocked(p)
}

// vacateLocked takes the member at p out of the room; its own list is the caller's. The last member moves to its
// position.
func (x *Index[M]) vacateLocked(p place[M]) {
	r := p.room
	last := len(r.members) - 1
	if last == 0 {
		x.freeLocked(r)
		return
	}
	if int(p.at) != last {
		moved := r.members[last]
		moved.places[moved.position(r)].at = p.at
	}
	r.members = swapRemove(r.members, int(p.at))
}

// makeLocked makes a room that the caller fills. The name is copied: it may be a piece of a large message.
func (x *Index[M]) makeLocked(name string) *room[M] {
	r := &room[M]{name: strings.Clone(name), owner: x.ids.m[name]}
	x.rooms.put(r.name, r)
	if r.owner != nil {
		x.named++
		if r.owner.own {
			x.virtual--
		}
	}
	return r
}

func (x *Index[M]) freeLocked(r *room[M]) {
	x.rooms.remove(r.name)
	if r.owner != nil {
		x.named--
		if r.owner.own {
			x.virtual++
		}
	}
}
