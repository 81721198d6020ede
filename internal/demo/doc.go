// Package demo is what `gateway dev` shows: a chat page and the rules it runs on. The page needs nothing but the binary, so
// it carries a Socket.IO client of its own, small enough to read: WebSocket only, one namespace, reconnection.
package demo
