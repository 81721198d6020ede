package rooms

// ByID returns the member with the id, nil when there is none, whether or not it is in its own room.
func (x *Index[M]) ByID(id string) *Member[M] {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.ids.m[id]
}

// Holds reports whether anybody is in the room, members in their own rooms included.
func (x *Index[M]) Holds(room string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return !x.groupLocked(room).empty()
}

// Contains reports whether m is in the room.
func (x *Index[M]) Contains(m *Member[M], room string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if m.state != present {
		return false
	}
	return x.groupLocked(room).has(m)
}

// Rooms appends the rooms m is in to dst, its own first.
func (x *Index[M]) Rooms(dst []string, m *Member[M]) []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return m.appendRooms(dst)
}

func (m *Member[M]) appendRooms(dst []string) []string {
	if m.own {
		dst = append(dst, m.id)
	}
	for i := range m.places {
		dst = append(dst, m.places[i].room.name)
	}
	return dst
}

// Len reports the number of members.
func (x *Index[M]) Len() int {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.members)
}

// Count reports how many rooms have somebody in them: all, and of these the ones named by a member's id.
func (x *Index[M]) Count() (all, own int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return len(x.rooms.m) + x.virtual, x.named + x.virtual
}

// AllRooms appends the names of all rooms with somebody in them to dst, each once, members' own rooms included.
func (x *Index[M]) AllRooms(dst []string) []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for name := range x.rooms.m {
		dst = append(dst, name)
	}
	for _, m := range x.members {
		if m.own && x.rooms.m[m.id] == nil {
			dst = append(dst, m.id)
		}
	}
	return dst
}
