package rooms

// A target of more names than maxScan is selected with a set of the members seen. Up to there a look at the list of
// each member is faster and allocates nothing.
const maxScan = 16

// AppendTo appends the members that match t to dst, each once and in no order. It allocates only to grow dst, unless t
// names more than 16 rooms.
func (x *Index[M]) AppendTo(dst []*Member[M], t Target) []*Member[M] {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if len(t.Rooms) <= 1 && len(t.Except) <= 1 {
		if dst, ok := x.copyLocked(dst, t); ok {
			return dst
		}
	}
	if len(t.Rooms)+len(t.Except) <= maxScan {
		return x.scanLocked(dst, t)
	}
	return x.markLocked(dst, t)
}

// copyLocked selects what is a copy of one list, perhaps without one member whose position is known: most broadcasts go
// to everyone, to a room or to a socket, and leave out nobody or the sender.
func (x *Index[M]) copyLocked(dst []*Member[M], t Target) ([]*Member[M], bool) {
	var but group[M]
	if len(t.Except) == 1 {
		if but = x.groupLocked(t.Except[0]); but.room != nil {
			return dst, false
		}
	}
	if len(t.Rooms) == 0 {
		at := -1
		if but.owner != nil {
			at = int(but.owner.at)
		}
		return appendBut(dst, x.members, at), true
	}
	g := x.groupLocked(t.Rooms[0])
	if g.owner != nil && g.owner != but.owner {
		dst = append(dst, g.owner)
	}
	if g.room == nil {
		return dst, true
	}
	at := -1
	if but.owner != nil {
		if i := but.owner.position(g.room); i >= 0 {
			at = int(but.owner.places[i].at)
		}
	}
	return appendBut(dst, g.room.members, at), true
}

// appendBut appends members without the one at a position, which is -1 for none.
func appendBut[M any](dst, members []*Member[M], at int) []*Member[M] {
	if at < 0 {
		return append(dst, members...)
	}
	dst = append(dst, members[:at]...)
	return append(dst, members[at+1:]...)
}

// scanLocked asks each member whether it is in one of the groups that come before.
func (x *Index[M]) scanLocked(dst []*Member[M], t Target) []*Member[M] {
	var buf [maxScan]group[M]
	groups := buf[:0] // the excepted, then the selected
	for _, name := range t.Except {
		if g := x.groupLocked(name); !g.empty() {
			groups = append(groups, g)
		}
	}
	if len(t.Rooms) == 0 {
		return appendOthers(dst, x.members, groups)
	}
	for _, name := range t.Rooms {
		g := x.groupLocked(name)
		if g.empty() {
			continue
		}
		if g.owner != nil && !anyHas(groups, g.owner) {
			dst = append(dst, g.owner)
		}
		if g.room != nil {
			dst = appendOthers(dst, g.room.members, groups)
		}
		groups = append(groups, g)
	}
	return dst
}

// appendOthers appends the members that are in none of groups.
func appendOthers[M any](dst, members []*Member[M], groups []group[M]) []*Member[M] {
	if len(groups) == 0 { // nothing known was excepted, and this is the first room
		return append(dst, members...)
	}
	for _, m := range members {
		if !anyHas(groups, m) {
			dst = append(dst, m)
		}
	}
	return dst
}

func anyHas[M any](groups []group[M], m *Member[M]) bool {
	for i := range groups {
		if groups[i].has(m) {
			return true
		}
	}
	return false
}

// markLocked remembers every member it has passed, so its cost grows with the members and not with members times rooms.
func (x *Index[M]) markLocked(dst []*Member[M], t Target) []*Member[M] {
	passed := make(map[*Member[M]]struct{}, len(t.Rooms)+len(t.Except))
	var group []*Member[M]
	for _, name := range t.Except {
		group = x.groupLocked(name).appendTo(group[:0])
		for _, m := range group {
			passed[m] = struct{}{}
		}
	}
	if len(t.Rooms) == 0 {
		return appendUnmarked(dst, x.members, passed)
	}
	for _, name := range t.Rooms {
		group = x.groupLocked(name).appendTo(group[:0])
		dst = appendUnmarked(dst, group, passed)
	}
	return dst
}

// appendUnmarked appends the members not passed yet, and marks them.
func appendUnmarked[M any](dst, members []*Member[M], passed map[*Member[M]]struct{}) []*Member[M] {
	for _, m := range members {
		if _, ok := passed[m]; !ok {
			passed[m] = struct{}{}
			dst = append(dst, m)
		}
	}
	return dst
}
