package recovery

import "slices"

// places is a list of places of a log, ascending, that grows at its end and shrinks at its beginning.
type places struct {
	list []uint64 // list[head:] are in it
	head int
}

// add appends a place, once.
func (p *places) add(place uint64) {
	if n := len(p.list); n > p.head && p.list[n-1] == place {
		return
	}
	if p.head > len(p.list)/2 && len(p.list) == cap(p.list) {
		p.list = p.list[:copy(p.list, p.list[p.head:])]
		p.head = 0
	}
	p.list = append(p.list, place)
}

// removeThrough removes the places up to one. It reports whether any are left.
func (p *places) removeThrough(place uint64) bool {
	for p.head < len(p.list) && p.list[p.head] <= place {
		p.head++
	}
	return p.head < len(p.list)
}

// from returns the places from one on. They may be read until the next change.
func (p *places) from(place uint64) []uint64 {
	list := p.list[p.head:]
	i, _ := slices.BinarySearch(list, place)
	return list[i:]
}
