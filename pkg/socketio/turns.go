package socketio

import (
	"context"
	"sync"
)

// mostFetches is how many sessions of one server are fetched at a time. More at a time would not be faster, and when a server with
// thousands of clients leaves, each would take so long that all fail. The others wait in line.
const mostFetches = 64

// lines are where sessions wait for their turn to be fetched, by the server that has them: one that does not answer holds up its
// own sessions alone.
type lines struct {
	mu sync.Mutex
	// mu guards the following.
	owners map[string]*line // by tag
}

// line gives turns in the order in which they are asked for.
type line struct {
	turns chan struct{} // static
	users int           // lines.mu guards it
}

// turn waits for a turn to fetch from a server, which ends with the call of end.
func (l *lines) turn(ctx context.Context, owner string) (end func(), err error) {
	l.mu.Lock()
	at := l.owners[owner]
	if at == nil {
		if l.owners == nil {
			l.owners = make(map[string]*line)
		}
		at = &line{turns: make(chan struct{}, mostFetches)}
		l.owners[owner] = at
	}
	at.users++
	l.mu.Unlock()
	select {
	case at.turns <- struct{}{}:
		return func() {
			<-at.turns
			l.leave(owner, at)
		}, nil
	case <-ctx.Done():
		l.leave(owner, at)
		return nil, ctx.Err()
	}
}

func (l *lines) leave(owner string, at *line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at.users--; at.users == 0 {
		delete(l.owners, owner)
	}
}
