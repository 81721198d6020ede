// Package rediswire translates between the bytes that Socket.IO servers and emitters exchange over the Redis Pub/Sub
// channels of @socket.io/redis-adapter, and the adapter's commands, queries and replies.
//
// It is pure: no connection, no state, no goroutine, and safe for concurrent use. It writes what the official packages
// write, byte for byte, and reads what every known emitter writes. Three forms are on the wire:
//
//	broadcast  <key>#<nsp>#[<room>#]               msgpack [uid, packet, opts]
//	request    <key>-request#<nsp>#                JSON, or msgpack when it carries a packet
//	response   <key>-response#<nsp>#[<uid>#]       JSON, or msgpack when it carries an acknowledgement
//
// A request or a response is JSON exactly when its first byte is '{'. Reading never panics and takes no more memory
// than some thirty times the message; a message that cannot be read whole is refused whole, with an error.
package rediswire
