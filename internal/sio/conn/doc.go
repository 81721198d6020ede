// Package conn is one client of a Socket.IO server: its connection, the sockets on it, and what decides for a socket.
//
// A [Logic] decides for one socket: whether it connects, and what its events do. Package socketio has one that calls the
// handlers a program registers; package policy has one that follows the rules of a configuration.
package conn
