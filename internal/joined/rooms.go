// Package joined remembers the rooms that this process has just made sockets of the cluster join.
//
// A node subscribes to a room's channel when its first local socket joins, one or two round trips after it received the
// command. What is published on that channel in between reaches no one there. So a process that makes sockets join a
// room addresses the room on the channel of the namespace for a while, which every node of the namespace receives at any
// time and in the order of publishing.
package joined

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// linger is for how long a room is remembered at least: as long as nodes wait for the confirmation of a subscription by
	// default. A node that takes longer loses messages of other rooms as well.
	linger = 5 * time.Second
	// maxRooms bounds a generation. When more rooms are joined meanwhile, all rooms count as joined: that costs nodes what
	// it costs Node's servers always, while forgetting rooms would lose messages.
	maxRooms = 10_000
)

// Rooms is the memory. The zero value is empty and works; it is safe for concurrent use.
type Rooms struct {
	until atomic.Int64 // when everything is forgotten, in Unix nanoseconds; 0: there is nothing

	mu sync.Mutex
	// mu guards the following. Rooms are added to the current generation, which becomes the previous one after a linger,
	// so that forgetting costs nothing.
	current, previous generation
	turn              time.Time // when the current generation ends
}

type generation struct {
	rooms map[room]struct{}
	full  bool // there were more rooms than fit
}

type room struct{ namespace, name string }

func (g *generation) has(r room) bool {
	_, known := g.rooms[r]
	return known || g.full
}

// Add notes that sockets of a namespace are about to be told to join rooms. Call it before the command is published.
func (r *Rooms) Add(namespace string, names ...string) {
	if len(names) == 0 {
		return
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !now.Before(r.turn) {
		r.previous = r.current
		if !now.Before(r.turn.Add(linger)) {
			r.previous = generation{}
		}
		r.current = generation{rooms: make(map[room]struct{})}
		r.turn = now.Add(linger)
		r.until.Store(r.turn.Add(linger).UnixNano())
	}
	for _, name := range names {
		if len(r.current.rooms) >= maxRooms {
			r.current.full = true
			return
		}
		r.current.rooms[room{namespace, name}] = struct{}{}
	}
}

// Has reports whether the room was joined lately.
func (r *Rooms) Has(namespace, name string) bool {
	until := r.until.Load()
	if until == 0 {
		return false
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.UnixNano() >= until {
		if r.until.CompareAndSwap(until, 0) {
			r.current, r.previous = generation{}, generation{}
			r.turn = time.Time{}
		}
		return false
	}
	joined := room{namespace, name}
	return r.current.has(joined) || now.Before(r.turn) && r.previous.has(joined)
}
