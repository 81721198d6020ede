// Package upstream carries clients' events to backends through Redis Streams, and the backends' answers back.
//
// # Five words
//
//	Socket ─ stay ─ partition ─ append.lua ─▶ carillon:up:{route.p}        what a backend reads
//	                                          carillon:live:{route.p}      last seq of each live socket
//	                                          carillon:live:{route.p}:node which of them are this node's
//	inbox ◀──────────────── carillon:in:{node} ◀─ XADD of any backend
//	registry ─ watch ─ reap.lua ─▶ disconnected entries of nodes that died
//
// A Socket is one client's way to the backends. Its stay on a route begins with its first entry there and counts seq.
//
// A partition is one stream of a route. It has one batch of entries at Redis at a time and collects the next meanwhile, so
// it is slow for nobody: alone, an entry leaves at once; under load, a round trip carries hundreds. The batch is one call of
// a script that is numbered. The script remembers the answer to the last number, so that a batch whose outcome is unknown
// is sent again until it is known: nothing is stored twice, the order stays, and the ids are still there to be told.
//
// The inbox is the stream in which backends answer events of this node's clients.
//
// The registry counts the heartbeats of all nodes. A watch compares: a node whose count has not changed during a whole
// period in which Redis answered is declared lost, and a survivor reaps what it leaves behind: the script that writes a
// disconnected entry takes the socket out of the live set, so no two survivors write it twice. A lost node that comes back
// finds its mark in every partition, and closes its sockets.
//
// # A socket that changes nodes
//
//	Offer ─ number n ─▶ (another node) Take ─ claim n ─▶ append.lua       seq and the end are the other node's
//	Moved: forgotten   Resume ─ claim n+1 ─▶ taken back   Leave ─▶ ended, unless it was claimed
//
// Each offer has a number above all before. One script writes the claim of the node that takes the socket: it moves seq and
// the promise of a disconnected entry at once, and from then on refuses whatever comes under a lower number, be it an event, an
// end or another claim. So no node has to know what became of its offer: one that goes on with the socket claims it back
// under a higher number, and one that gives it up ends it, which changes nothing where another node has claimed it. Entries of
// a socket that was never offered carry no number, and find none.
//
// # What waits, and for how long
//
// An event waits for Redis until its route's deadline. Memory is bounded by what is held: a client that sends more than
// maxSocket is not read until Redis has taken some of it, and neither is any once all together hold maxTotal. Entries
// that say that a socket connects or leaves have no deadline, because they are promised; there are at most two for a socket.
//
// # Goroutines
//
// Run waits for the heartbeat, the inbox, and the keeper that trims streams. A partition has a goroutine while it has
// entries. Timers end what has waited too long; callbacks run on any of these, one at a time for one event.
package upstream
