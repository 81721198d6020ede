// Package streamsession keeps clients' sessions in Redis in the form of Node's streams adapter
// (@socket.io/redis-streams-adapter 0.3), so that any server of a cluster, Node's or a gateway, goes on with the session of a
// client whose server was killed.
//
// A session is one key, sio:session:<pid>, with base64 of MessagePack: a map of sid, pid, rooms and data. Node's servers write
// it when a connection breaks; this package when a session begins, whenever it changes, and again before it expires. Members of
// our own stand in front: the first is the node that has the session, so that the beginning of the text tells whose it is.
//
//	         written, renewed                  taken
//	Keep ───────────────────────► sio:session:<pid> ───────► Take: compared with what Find returned, in one script
//	                                   │
//	                                   └───────────────────► Node's server: GET and DEL
//
// Whichever server takes a session first has it. The one that had it notices when it renews, or is told before by Taken.
package streamsession
