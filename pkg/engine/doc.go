// Package engine is an Engine.IO server: sessions over HTTP long-polling and WebSocket, upgrades between them,
// heartbeats, and one bounded outbox for each session. It speaks protocol revision 4 and, when asked to, 3. It is a
// leaf and knows nothing of Socket.IO or clusters: a request for a session it does not hold goes to Config.Unknown.
// Plain sessions do without Engine.IO: the frames of a WebSocket, or the parts of an event stream, are the messages.
//
// The words of this package: a frame is one outbound message, the outbox holds what a session has still to send, the lease is the
// right to write for a session, the seat is the place of a GET that waits, a parked connection is one without a reader. To close
// a session is to deliver its outbox and then to end it; to end is gentle, to cut is not (see Ending). A client hangs up.
//
// # Layers
//
// Each file stands on those below it. What Session's lock guards is declared in session.go, above which the rules are.
//
//	server, http, plain                       a server's life, and the doors: who may open a session, and what one request does
//	polling, upgrade, websocket, receiver     a session's transports, and the calls of the application
//	heartbeat, close, outbox, end             a session's life: its deadline, how it ends, what it has to send
//	session, host, limits                     what a session is, the part of the server that it uses, what it counts for
//	refusal, admission, metrics, request, config, handshake, table, reasons, frame       without sessions
//
// Below the package, and without knowing it: internal/frame encodes, internal/wsconn is a WebSocket, internal/polling the GETs and
// POSTs, internal/flush the goroutines that write, internal/outbox a queue, internal/alarm deadlines, internal/ceiling totals.
//
// # Sending
//
// A Frame is encoded once and shared by all its recipients. Session.Send appends frames to the session's outbox and
// returns. The holder of the session's lease takes all of them and writes them: a flusher, of which there are a few while
// there is something to write, or the handler of a waiting GET. A message is either in the outbox or with the one holder of
// the lease, so it is delivered at most once and in order, across an upgrade too. It is lost only when the process dies,
// when the peer vanishes under a write, or when the session ends first; losses that this server can see are counted.
//
// The outbox is bounded: a client that makes no progress while more than Config.Outbox waits for it is cut as a
// SlowConsumer after five seconds, and over Config.OutboxHard at once. Frames count as the memory they hold, until they are
// written to the kernel. When all outboxes together hold more than Limits.Outboxes, the fullest are cut.
//
// # Receiving
//
// Memory that holds data of clients counts towards Limits.Inbound: unfinished messages and bodies, the handshakes that
// sessions keep, buffers of TLS that large records and messages have left on connections of a Listener, and the bytes that
// Session.Hold counts. Over it the sessions with the largest unfinished messages and buffers are ended.
//
// A Receiver is called by one goroutine at a time: the reader of a WebSocket, or the handler of a POST. While it blocks
// nothing more is read from that client, and its silence is not held against it.
//
// A panic of the Handler or a Receiver is logged, counted and ends the one session.
//
// # Goroutines
//
// One for each WebSocket that is being read from. An idle one has none, on Linux: it is parked, without a reader or a
// buffer, and one goroutine of the server waits for all of them. Nothing is left of its net.Conn then but the descriptor. Under
// TLS that takes a Listener below it. Elsewhere the reader waits itself, and where the http.Server's listener wraps its
// connections, as for the PROXY protocol, in a type that has no SyscallConn: a wrapper that only counts should embed *net.TCPConn,
// and let go of it with a method Detach() *net.TCPConn, after which only Close is called. One for each waiting GET and arriving POST, which
// net/http started; a flusher for each processor, more when they have fallen behind; one for each write that waits for its
// peer, and each write to a connection that cannot be parked; one for each end of a session, which calls Receiver.Closed. An idle polling session has none.
// Deadlines of sessions are in a few heaps, each with one timer. Server.Close and Server.Drain wait for all goroutines but
// net/http's.
//
// # Ending
//
// A session ends gently or is cut. Gently means on a WebSocket: no further message is read, a Close frame is written behind
// what is already being written, and what the client sends is read and discarded until it hangs up, or for two seconds
// after its last progress, because closing a socket with unread input makes the kernel reset it and destroys what the
// client has not read. With polling a waiting GET is answered, and an answer that is being written has two more seconds.
// Cut means: the socket is closed with a reset, whatever is under way. Frames still in the outbox are dropped and counted
// in both cases; only Session.Close, SendAway and what calls them deliver them first.
//
//	what ends it                          reason                  how
//	Session.Close                         the caller's            delivers the outbox, then gently; cut when the client
//	                                                              takes nothing for 5 s, or after a minute
//	Session.CloseWith                     the caller's            as Close; the Close frame has a code
//	Session.SendAway                      the caller's            the same, but so that the client comes back: no close
//	                                                              packet to a waiting GET, Close frame 1001, none to
//	                                                              OkHttp; an upgrade that the client polls no more for is
//	                                                              finished first
//	Server.Drain                          server shutting down    sent away
//	Server.Shed                           server shutting down    sent away
//	Session.Close(SlowConsumer)           slow consumer           cut
//	the outbox, or all of them, too full  slow consumer           cut
//	Drain's context has ended             server shutting down    cut
//	Server.Close                          server shutting down    gently
//	no pong, or no ping                   ping timeout            gently
//	a packet or payload that is malformed parse error             gently
//	a WebSocket frame that is malformed   transport error         gently, with the code of RFC 6455
//	a Close frame, a close packet, EOF    transport close         gently
//	a write failed                        transport error         cut
//	overlapping GETs or POSTs             transport error         gently
//	a GET whose client has gone           transport error         gently
//	a panic of the Receiver               forced close            gently
package engine
