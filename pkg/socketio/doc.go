// Package socketio is a Socket.IO server for net/http: namespaces, sockets, rooms, acknowledgements, emitting.
//
// A [Server] is mounted beside other routes; the zero [Config] is Node's defaults on one node. With an adapter other
// than adapter.Local several servers make one cluster, and everything an [Emitter] addresses is found on all of them.
// The package does not know how a cluster talks (package adapter) nor how bytes reach a client (package engine), and
// takes no decision of its own about what a client may do: that is for middlewares and handlers.
//
// # Middlewares
//
// A request is passed on by whatever http.Handler stands before the server, as Node's engine.use does; one that wraps
// the ResponseWriter needs its Unwrap method, or there are no WebSockets. A socket passes its namespace's middlewares
// ([Namespace.Use]) before it is connected, and each of its events its own ([Socket.Use]).
//
// # Order
//
// What is sent to one client arrives in the order it was sent, an Emitter's events and the socket's own alike. A
// client's events are handled in the order it sent them, one at a time; a client that leaves is told to the disconnect
// handlers after the events it had sent before. A socket the server disconnects is heard no more.
//
// # Goroutines
//
// The engine's reader of a connection handles acknowledgements and the end of a namespace or connection at once. All
// else waits in the connection's mailbox for one worker, a goroutine that the connection has only while there is
// something to handle, and that calls middlewares and handlers. So handlers may block, also for an acknowledgement of
// the same client: they hold up nobody but their own connection, and when its mailbox is full its client is not read
// from. A panic in a handler ends that connection only. Emitting never waits: a client that does not keep up is closed
// by the engine. Handlers of other servers' events, and of rooms, have one goroutine for each namespace, while there is
// something to tell. A few idle workers wait until the server is closed.
//
// # Bounds
//
// Namespaces per connection, rooms per socket, dynamic namespaces, attachments and the time they take, depth of JSON
// and what a mailbox holds are bounded. A client that breaks the protocol is closed without an answer, as Node does;
// everything that comes to nothing is counted with its reason.
package socketio
