// Package idle waits for input on behalf of connections that have no goroutine. On Linux a Poller does so with one epoll
// and one goroutine for all of them, and a Conn meanwhile takes little more than its descriptor; elsewhere the Poller
// refuses, and each connection needs a reader that waits.
package idle

// Waker is called when what a connection waits for has happened, by the Poller's goroutine: it must not block. It may also
// be called when nothing has happened.
type Waker interface{ Wake() }

// Event is what a connection waits for.
type Event uint32

// Slot is a connection's place in a Poller; 0 is none. Its owner calls Arm and Remove with it one at a time.
type Slot int32

// Controller gives access to the descriptor of a connection: a Conn, or a syscall.RawConn.
type Controller interface {
	// Control calls f with the descriptor, which is not closed before f has returned.
	Control(f func(descriptor uintptr)) error
}
