// Package packet is the Socket.IO packet codec: text packets with their attachments, and the argument lists they
// carry.
//
// # Shape
//
// A [Decoder], one per connection, turns text and binary messages into a [Packet]. [AppendText] writes a packet's text
// message; its attachments follow as binary messages, in order. [Args] is the list of arguments inside an event or an
// ack: JSON text that is looked into only when somebody asks. [Marshal] makes one of Go values, [Args.Unmarshal] reads
// it back, and a [Builder] composes a new one from pieces of others.
//
// # What holds
//
// The data of a decoded packet is valid JSON in valid UTF-8 of bounded depth, so it can be handed to other clients as
// it came. Where a list has attachments, each placeholder in it is spelled exactly {"_placeholder":true,"num":k} with k
// in range, whatever the sender wrote; these bytes cannot occur inside a JSON string. Where a list has none, an object
// of that look is plain data.
//
// What is accepted and what is refused follows the official parser (socket.io-parser 4.2.7), apart from what [Decoder]
// lists. Input can never cause a panic.
//
// # What it is not
//
// It does no I/O, starts no goroutines and knows nothing of sessions, namespaces that exist, or acks that are due.
package packet
