// Package packet is the Socket.IO packet codec: packets with their attachments, in the forms of the default and of the
// msgpack parser, and the argument lists they carry.
//
// # Shape
//
// A [Decoder], one per connection, turns text and binary messages into a [Packet]. [AppendText] writes a packet's text
// message; its attachments follow as binary messages, in order. [AppendMsgpack] writes the one binary message that a
// packet is to the msgpack parser. [Args] is the list of arguments inside an event or an ack: JSON text that is looked
// into only when somebody asks. [Marshal] makes one of Go values, [Args.Unmarshal] reads it back, and a [Builder]
// composes a new one from pieces of others.
//
// # What holds
//
// The data of a decoded packet is valid JSON in valid UTF-8 of bounded depth, so it can be handed to other clients as
// it came. Where a list has attachments, each placeholder in it is spelled exactly {"_placeholder":true,"num":k} with k
// in range, whatever the sender wrote; these bytes cannot occur inside a JSON string. Where a list has none, an object
// of that look is plain data.
//
// What is accepted and what is refused follows the official parsers (socket.io-parser 4.2.7, socket.io-msgpack-parser
// 3.0.2), apart from what [Decoder] lists. Input can never cause a panic.
//
// # Parsers
//
// A packet is the same whatever [Parser] it came through, so clients of both can share a room: who sends encodes it
// once for each. Decoder.Parser chooses what a connection is read as. With [AutoParser] its first message does:
//
//	client's first message    parser            every packet after it
//	text  0{"token":"…"}      DefaultParser     text, and binary messages for its attachments
//	binary  82 a4 "type" …    MsgpackParser     one binary message; text is refused
//
// A client has to send its CONNECT before the server sends anything, so the parser is known when the first packet has
// to be written. 2.x clients are the exception: see AutoParser.
//
// # What it is not
//
// It does no I/O, starts no goroutines and knows nothing of sessions, namespaces that exist, or acks that are due.
package packet
