package rooms

// Member is a member's handle, to be embedded by value in what it stands for. It serves one stay in one index and must
// not be copied; the zero value is ready for Index.Add.
type Member[M any] struct {
	// The index's lock guards the following.
	state  state
	own    bool               // in the room named by its id
	at     int32              // position in Index.members
	places []place[M]         // the other rooms it is in, in no order
	where  map[*room[M]]int32 // positions in places, only when there are many

	// Static after Add.
	id    string
	value M
}

type state uint8

const (
	fresh state = iota
	present
	gone
)

// place is a member's stay in a room.
type place[M any] struct {
	room *room[M]
	at   int32 // position in room.members
}

// A member in more rooms than manyPlaces has a map of its places; up to there a scan is as fast and takes no memory.
const manyPlaces = 32

// ID returns the id the member was added with.
func (m *Member[M]) ID() string { return m.id }

// Value returns the value the member was added with.
func (m *Member[M]) Value() M { return m.value }

// position returns the index of r in m.places, -1 when m is not in r.
func (m *Member[M]) position(r *room[M]) int {
	if m.where != nil {
		if i, ok := m.where[r]; ok {
			return int(i)
		}
		return -1
	}
	for i := range m.places {
		if m.places[i].room == r {
			return i
		}
	}
	return -1
}

func (m *Member[M]) addPlace(p place[M]) {
	m.places = append(m.places, p)
	switch {
	case m.where != nil:
		m.where[p.room] = int32(len(m.places) - 1)
	case len(m.places) > manyPlaces:
		m.where = make(map[*room[M]]int32, len(m.places))
		for i, p := range m.places {
			m.where[p.room] = int32(i)
		}
	}
}

func (m *Member[M]) removePlace(i int) {
	last := len(m.places) - 1
	switch {
	case m.where == nil:
	case last <= manyPlaces/2: // well below the bound, so that a member around it does not build a map again and again
		m.where = nil
	default:
		m.where[m.places[last].room] = int32(i)
		delete(m.where, m.places[i].room) // second, for it may be the last
	}
	m.places = swapRemove(m.places, i)
}
