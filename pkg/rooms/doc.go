// Package rooms knows who is in what: the members of one namespace and the rooms they are in.
//
// It is a leaf: generic over the member, no I/O, no goroutines, no callbacks. It does not know what a room means,
// sends nothing, and does not report when a room appears or empties: whoever needs that asks Index.Holds at the time
// of acting, because news of a last leave and of a first join could overtake each other on the way.
//
// Members and rooms hold each other in dense slices, and a member knows its position in each of its rooms. So joining,
// leaving and disconnecting cost the same in a room of ten and in one of twenty thousand, and selecting a room is one
// copy. Every member starts in a room named by its id. That own room is virtual, a flag of the member: it takes no
// memory, and a room of that name comes to exist only for others who join it.
//
// All methods are safe for concurrent use, and each sees or makes one consistent state: a selection over two rooms
// finds the member that joins the one before it leaves the other.
package rooms
