// Package pythonbus makes a node a peer on the Redis channel of python-socketio's servers and managers.
//
//	socketio.Server ──► Bus ──► the node's own adapter        commands and queries, as without the bus
//	                     ├────► publisher ──► channel ──► python-socketio: what nodes publish, in its JSON
//	                     └◄──── subscription ◄── channel ◄── python-socketio: delivered to this node's own sockets
//
// Every process receives everything on this channel: there is no interest, and each node delivers what comes from Python
// to its own sockets alone. Messages of nodes reach the other nodes through their adapter. On this channel nodes recognise each
// other by the beginning of their host ids and skip those messages, so no event arrives twice and none circulates.
//
// The format is that of python-socketio since 5.14.0 (src/socketio/pubsub_manager.py): one JSON object a message. Before
// that version messages were pickles, which run code when they are read; they are dropped and counted.
//
// Files: bus (the adapter), receive (what a message from Python does), decode and encode (bytes ⇄ commands; pure),
// callbacks (acknowledgements that Python's clients give), subscription, publisher and queue (Redis).
package pythonbus
