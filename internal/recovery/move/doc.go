// Package move cuts the stream of a namespace's commands in two, for one session that changes nodes: what comes before the
// cut is the old owner's to hand over, what comes behind it the new node's to deliver. Every command is on exactly one side,
// whichever node published it. The package is pure: it is given what happens on a node, in the order in which it happens.
//
// Nodes agree on no order of their own. A node applies its own commands when it publishes them, and those of others when they
// arrive; but in one lane (what one Redis server passes on through one subscription) all nodes receive everything in the same
// order, their own commands included. A fence is a mark that a node publishes into that order.
//
//	                     the owner's fence F               the new node's fence G
//	one lane    ──a1──c1──────┃──a2──c2──b1──────────────────────┃──b2──c3──►      a: published by the owner, b: by the new node,
//	                          ┃                                  ┃                 c: by a third one
//	owner        a1 c1        ┃                                  ┃
//	             applied when published (a) or when they         ┃
//	             arrive (c); nothing behind F, although          ┃
//	             a2 is already applied here                      ┃
//	                          ┃                                  ┃
//	new node                  ┃  a2 c2 b1                        ┃  b2 c3
//	                          ┃  in the order of arrival, its    ┃  b2 was published behind G: it waited for G to come
//	                          ┃  own at the place of the echo    ┃  back, and is applied before what arrives behind G.
//	                          ┃                                  ┃  From here on the session is like any other
//
// A command may change the session's rooms, so each side applies joins and leaves in the same order as events. [Cut] is the
// owner's side: it begins with the rooms of the moment in which F is published and ends when F is back. [Tape] is the new
// node's side: it records from before the owner is asked, because only the owner's last word says which fence counts, and
// [Tape.Judge] reads what was recorded once G is back.
//
// # Several lanes
//
// With several servers each has a lane, and both fences go to each of them. There is no order between lanes, neither here nor
// for a client that stays connected, so each lane is cut by itself.
//
// # Rooms
//
// The new node receives only what it has subscribed to. It subscribes to the rooms that the owner names before the owner
// publishes F. A third node may put the session into another room just before F: then the fence does not count
// ([Cut.Missing]), the new node subscribes to that room as well, and the owner publishes another.
package move
