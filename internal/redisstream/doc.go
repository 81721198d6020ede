// Package redisstream reads and writes one Redis Stream on behalf of a node: everything that is appended is received once and in
// order, for as long as the stream is not trimmed beyond what was read.
//
// The reader fixes its position before it is ready and keeps it over connections, so a lost connection loses nothing. With each read
// it checks that the entry read before is still in the stream: if not, entries behind that one may be missing. The writer
// sends one batch at a time. When a connection ends before Redis has answered, the next one, which first ends its predecessor at
// the server, looks the entries up in the stream by an id of their own: what is there was appended, and what is not is sent again
// before anything else. An outcome is unknown only when the stream was trimmed, or lost its end, meanwhile.
package redisstream
