// Package conn is one client of a Socket.IO server: its connection, and the life of each socket on it.
//
//	engine ──► Conn.Message ──┬── ACK, DISCONNECT ── at once ──► Socket
//	                          └── CONNECT, EVENT ──► mailbox ──► worker ──► Owner: Enter, Handle, Leave
//
// A [Socket] lives through the stages of a table (life.go), from its CONNECT until it has left. An [Owner] stands behind
// it: the server's part, and a [Logic] that decides. Nothing here knows rooms, namespaces or other nodes.
package conn
