// Package relay hands a client's request to the node that holds its session, so that a balancer in front of the nodes
// need not be sticky. The node that received the request is the relaying node; the node that holds the session is its
// owner.
//
// A session id begins with its owner's tag. Config.Directory maps a tag to the peer addresses of the nodes that have it:
// usually one, two while a tag that was claimed twice is still in use. Polls and POSTs go to the owner over HTTP/2 in
// clear text, so that ten thousand waiting polls share a few connections. A WebSocket gets a connection of its own, over
// which bytes are copied without looking at more than frame headers.
//
// # Trust
//
// An owner believes what the relaying node says about the client, so every request is signed: HMAC-SHA256 with the
// shared secret over method, path and query, client address, scheme, time, a nonce and, for a POST, the body's SHA-256. A
// signature is refused when it is over 30 s old, and when its nonce was used before. The connection between nodes is
// not encrypted: it belongs in a network that clients do not reach.
//
// A relayed request is served by the owner's own sessions or refused. It is never relayed again.
//
// # What can go wrong
//
//	no node has the tag, the id is malformed        400 code 1 from here
//	the owner does not know the session             400 code 1 from the owner, counted for the client's address
//	nothing accepts connections at its address      the owner died: 400 code 1, and the client connects anew at once
//	no connection or no answer in time              the owner is slow: 503 with Retry-After
//	the client leaves                               the owner's request is cancelled, as if the client had left there
//	the owner drains                                its answers and its Close frames pass through
//	this node drains                                the owners end polls with a noop and send WebSocket clients away
package relay
