package hub

import (
	"container/list"
	"slices"
	"sync"
	"sync/atomic"
)

// RoomChange says what happened to a room.
type RoomChange uint8

// What can happen to a room, as far as the sockets of this node go.
const (
	RoomCreated RoomChange = iota // it has its first member
	RoomJoined                    // a socket is in it
	RoomLeft                      // a socket is no longer in it
	RoomDeleted                   // its last member has left
)

// RoomEvent is a change of a room on this node. Sockets' own rooms are rooms.
type RoomEvent struct {
	Change RoomChange
	Room   string
	Socket string // the id of the socket that joined or left
}

// OnRoom adds a handler that is called with each change of a room on this node, in the order of the changes, on one
// goroutine for the hub. It may block. Changes that are undone before its turn are left out.
func (h *Hub) OnRoom(f func(e RoomEvent)) {
	w := &h.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handlers = append(slices.Clip(w.handlers), f)
	w.on.Store(true)
}

// watch queues room events once a handler is registered. A join and its leave cancel out in the queue, so the queue
// never grows beyond the number of memberships.
type watch struct {
	on atomic.Bool // there are handlers

	mu sync.Mutex // held across each change of the index
	// mu guards the following.
	handlers []func(RoomEvent)       // replaced, never changed
	waiting  list.List               // of RoomEvent
	byPlace  map[place]*list.Element // those in waiting: at most one for each place, as a second undoes it
	working  bool
	event    RoomEvent // whose handlers are being called
	due      []func(RoomEvent)
}

// place is what an event is about: a room, or a socket in it.
type place struct{ room, socket string }

func (h *Hub) joinedLocked(m *Member, room string, existed bool) {
	if !existed {
		h.noteLocked(RoomEvent{Change: RoomCreated, Room: room})
	}
	h.noteLocked(RoomEvent{Change: RoomJoined, Room: room, Socket: m.ID()})
}

func (h *Hub) leftLocked(m *Member, room string) {
	h.noteLocked(RoomEvent{Change: RoomLeft, Room: room, Socket: m.ID()})
	if !h.index.Holds(room) {
		h.noteLocked(RoomEvent{Change: RoomDeleted, Room: room})
	}
}

// noteLocked queues an event, or takes the one away that it undoes.
func (h *Hub) noteLocked(e RoomEvent) {
	w := &h.watch
	at := place{e.Room, e.Socket}
	if undone := w.byPlace[at]; undone != nil {
		w.waiting.Remove(undone)
		delete(w.byPlace, at)
		return
	}
	if w.byPlace == nil {
		w.byPlace = make(map[place]*list.Element)
	}
	w.byPlace[at] = w.waiting.PushBack(e)
	if !w.working {
		w.working = true
		h.server.watchers.Go(h.callHandlers)
	}
}

// callHandlers empties the queue. It runs while there is something in it.
func (h *Hub) callHandlers() {
	returned := false
	defer func() {
		if !returned {
			h.tally.Panicked(recover())
			h.server.watchers.Go(h.callHandlers)
		}
	}()
	w := &h.watch
	for {
		w.mu.Lock()
		if len(w.due) == 0 {
			first := w.waiting.Front()
			if first == nil {
				w.working = false
				w.mu.Unlock()
				returned = true
				return
			}
			w.event = w.waiting.Remove(first).(RoomEvent)
			delete(w.byPlace, place{w.event.Room, w.event.Socket})
			w.due = w.handlers
		}
		f, e := w.due[0], w.event
		w.due = w.due[1:]
		w.mu.Unlock()
		f(e)
	}
}
