// Package redissessions keeps in Redis which node has a session that has left the node it began at.
//
//	<prefix>:sess:<pid> → owner, a text of the caller's; expires a while after its owner renewed it last
//
// An entry changes hands by compare-and-set, so that of two nodes which take a session from the same owner one does. The owner
// renews its entries in batches, one script for those of a slot, and enters them again where Redis has lost its memory. Every
// call is bounded in time.
package redissessions
