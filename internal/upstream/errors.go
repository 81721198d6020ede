package upstream

import "errors"

// What becomes of an event that is not stored or not answered.
var (
	// ErrOverloaded: too much waits for Redis, or the stream is at max_entries. The event is not stored.
	ErrOverloaded = errors.New("upstream: too much is waiting")
	// ErrUnavailable: Redis did not confirm the event before its deadline. It may still appear in the stream, once.
	ErrUnavailable = errors.New("upstream: Redis did not confirm the event in time")
	// ErrTimeout: no backend answered before the deadline.
	ErrTimeout = errors.New("upstream: no backend answered in time")
	// ErrInvalid: the event cannot be an entry.
	ErrInvalid = errors.New("upstream: the event has too many attachments")
	// ErrRoute: the configuration has no such route any more.
	ErrRoute = errors.New("upstream: there is no such route")
	// ErrLost: this node was declared lost, and its sockets were ended for it. The event is not stored.
	ErrLost = errors.New("upstream: this node was declared lost")
	// ErrGone: the socket has gone.
	ErrGone = errors.New("upstream: the socket has gone")
)
