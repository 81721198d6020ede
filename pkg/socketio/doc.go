// Package socketio is a Socket.IO server for net/http: namespaces, sockets, rooms, acknowledgements, emitting.
//
// A [Server] is mounted beside other routes; the zero [Config] is Node's defaults on one node. With an adapter other
// than adapter.Local several servers make one cluster, and everything an [Emitter] addresses is found on all of them.
// The package does not know how a cluster talks (package adapter) nor how bytes reach a client (package engine), and
// takes no decision of its own about what a client may do: that is for middlewares and handlers, or for one [Logic].
//
//	Server ── Namespace ── Socket      who is there and what they do: Use, OnConnect, On, SetLogic
//	            └ Emitter              addresses sockets on all nodes: To, Except, Emit, FetchSockets
//
// # Middlewares
//
// A request is passed on by whatever http.Handler stands before the server, as Node's engine.use does; one that wraps
// the ResponseWriter needs its Unwrap method, or there are no WebSockets. What it puts into the request's context is
// found in [Socket.Context]. A socket passes its namespace's middlewares ([Namespace.Use]) before it is connected, and
// each of its events its own ([Socket.Use]).
//
// # Order
//
// What is sent to one client arrives in the order it was sent, an Emitter's events and the socket's own alike. A
// client's events are handled in the order it sent them, one at a time. The disconnect handlers of a client that leaves
// run after those of the events it had sent before; what is left of a client that the server disconnects is dropped.
//
// # Goroutines
//
// The engine's reader of a connection handles acknowledgements and the end of a namespace or connection at once. All
// else waits in the connection's mailbox for one worker, a goroutine that the connection has only while there is
// something to handle, and that calls middlewares and handlers. So handlers may block, also for an acknowledgement of
// the same client: they delay only their own connection, and when its mailbox is full its client is not read from. A
// panic in a handler, or runtime.Goexit, ends that connection only. Emitting never waits: a client that does not keep
// up is closed by the engine. Handlers of other servers' events, and of rooms, have one goroutine for each namespace,
// while there is something to handle. A few idle workers wait until the server is closed.
//
// # Bounds
//
// Namespaces, CONNECTs and their auth per connection, rooms per socket, dynamic namespaces, attachments and the time
// they take, depth of JSON and what a mailbox holds are bounded. A client that breaks the protocol is closed without an
// answer, as Node does; everything that comes to nothing is counted with its reason.
package socketio
