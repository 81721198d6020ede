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
// A request or a response is JSON exactly when its first byte is '{'. A message that cannot be read whole is refused
// whole, with an error.
//
// Anything on Redis may be hostile. Reading never panics, and takes time and memory linear in the message whatever it
// holds: a message of n bytes allocates at most 64n + 16 KiB, garbage included. A list of empty sockets or attachments
// comes closest to that; ordinary messages allocate their own length and a little. The fuzz targets assert the bound. Of
// repeated members the last counts, as in JavaScript, and memory for the ones before it is reused or never allocated.
package rediswire
