// Package engine is an Engine.IO server: sessions over HTTP long-polling and WebSocket, upgrades between them,
// heartbeats, and one bounded outbox for each session. It speaks protocol revision 4 and, when asked to, 3. It is a
// leaf and knows nothing of Socket.IO or clusters: a request for a session it does not hold goes to Config.Unknown.
//
// # Sending
//
// A Frame is encoded once and shared by all its recipients. Session.Send appends frames to the session's outbox and
// returns; whoever holds the session's lease takes all that waits and writes it: a flusher, of which there are a few while
// there is something to write, or the handler of a waiting GET. A message is either in the outbox or with the one
// holder of the lease, so it is delivered at most once and in order, across an upgrade too. It is lost only when the
// process dies, when the peer vanishes under a write, or when the session ends first; losses this server knows of are
// counted.
//
// No client costs more than Config.Outbox: one that does not take what waits is cut off as a SlowConsumer. Bytes count
// until they are written to the kernel. When all outboxes together hold more than Limits.Outboxes, the fullest go.
//
// # Receiving
//
// A Receiver is called by one goroutine at a time: the reader of a WebSocket, or the handler of a POST. While it blocks
// nothing more is read from that client, and its silence is not held against it.
//
// A panic of the Handler or a Receiver is logged, counted and ends the one session.
//
// # Goroutines
//
// One for each WebSocket that is being read from. An idle one on plain TCP has none, on Linux: it is parked, without a
// reader or a buffer, and one goroutine of the server waits for all that are. Under TLS and elsewhere the reader waits
// itself. So it does where the http.Server's listener wraps its connections, as for the PROXY protocol, in a type that has
// no SyscallConn: a wrapper that only counts should embed *net.TCPConn. One for each waiting GET and arriving POST, which net/http started; a flusher for each processor, more when they
// have fallen behind; one for each write that waits for its peer or is under TLS; one for each end of a session, which
// calls Receiver.Closed. An idle polling session has none. A session has one timer. Server.Close and Server.Drain wait
// for all of them but net/http's.
//
// # Closing
//
// Session.Close delivers what is queued and then closes the transport. What ends a session at once (errors, timeouts,
// Server.Close) drops it. On a WebSocket a Close frame is always last and the server reads on for up to two seconds, so
// that the kernel does not reset a connection whose last packets are still on their way.
package engine
