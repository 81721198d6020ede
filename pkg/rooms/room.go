package rooms

// room is a room that somebody joined by name; it is freed with its last member.
type room[M any] struct {
	name string
	// owner is the member whose id is the name, nil when there is none. It is never among members: whether it is in the
	// room only its flag says.
	owner   *Member[M]
	members []*Member[M] // in no order
}

// group is what a room's name stands for at the moment: those who joined the room, and the member whose own room it is.
// Either may be nil.
type group[M any] struct {
	room  *room[M]
	owner *Member[M]
}

// groupLocked resolves a room's name.
func (x *Index[M]) groupLocked(name string) group[M] {
	var g group[M]
	if r := x.rooms.m[name]; r != nil {
		g = group[M]{room: r, owner: r.owner}
	} else {
		g.owner = x.ids.m[name]
	}
	if g.owner != nil && !g.owner.own {
		g.owner = nil
	}
	return g
}

func (g group[M]) empty() bool { return g.room == nil && g.owner == nil }

func (g group[M]) has(m *Member[M]) bool {
	return m == g.owner || g.room != nil && m.position(g.room) >= 0
}

func (g group[M]) appendTo(dst []*Member[M]) []*Member[M] {
	if g.owner != nil {
		dst = append(dst, g.owner)
	}
	if g.room != nil {
		dst = append(dst, g.room.members...)
	}
	return dst
}
