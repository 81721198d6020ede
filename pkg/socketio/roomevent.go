package socketio

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
	Socket string // the id of who joined or left
}

// OnRoom adds a handler that is told how rooms come, fill, empty and go on this node. It is called in the order of the
// changes, on one goroutine for the namespace, and may block; of what is undone before its turn it hears nothing. It is
// to be set before sockets connect.
func (n *Namespace) OnRoom(f func(e RoomEvent)) {
	w := &n.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handlers = append(slices.Clip(w.handlers), f)
	w.on.Store(true)
}

// watch follows the changes of a namespace's rooms, once somebody wants to be told. What waits to be told is the
// difference between what the handlers know and what is, so it cannot outgrow the memberships.
type watch struct {
	on atomic.Bool // there are handlers

	mu sync.Mutex // held across each change of the index
	// mu guards the following.
	handlers []func(RoomEvent)       // replaced, never changed
	waiting  list.List               // of RoomEvent
	byPlace  map[place]*list.Element // those in waiting: at most one for each place, as a second undoes it
	working  bool
}

// place is what an event is about: a room, or a socket in it.
type place struct{ room, socket string }

// add makes a socket a member, in its own room.
func (n *Namespace) add(s *Socket) bool {
	if !n.watch.on.Load() {
		return n.index.Add(&s.member, s.id, s)
	}
	n.watch.mu.Lock()
	defer n.watch.mu.Unlock()
	existed := n.index.Holds(s.id)
	if !n.index.Add(&s.member, s.id, s) {
		return false
	}
	n.joinedLocked(s, s.id, existed)
	return true
}

// join puts a member into rooms, all or none.
func (n *Namespace) join(s *Socket, rooms []string) error {
	limit := int(n.io.limits.rooms.Load())
	if !n.watch.on.Load() {
		return n.index.Join(&s.member, limit, rooms...)
	}
	n.watch.mu.Lock()
	defer n.watch.mu.Unlock()
	existed := make(map[string]bool, len(rooms)) // of those it is not in
	for _, room := range rooms {
		if !n.index.Contains(&s.member, room) {
			existed[room] = n.index.Holds(room)
		}
	}
	if err := n.index.Join(&s.member, limit, rooms...); err != nil {
		return err
	}
	for _, room := range rooms {
		if had, isNew := existed[room]; isNew {
			n.joinedLocked(s, room, had)
			delete(existed, room)
		}
	}
	return nil
}

// leave takes a member out of rooms.
func (n *Namespace) leave(s *Socket, rooms []string) {
	if !n.watch.on.Load() {
		n.index.Leave(&s.member, rooms...)
		return
	}
	n.watch.mu.Lock()
	defer n.watch.mu.Unlock()
	for _, room := range rooms {
		if n.index.Contains(&s.member, room) {
			n.index.Leave(&s.member, room)
			n.leftLocked(s, room)
		}
	}
}

// remove takes a member out of all its rooms, for good, and returns them.
func (n *Namespace) remove(s *Socket) []string {
	if !n.watch.on.Load() {
		return n.index.Remove(nil, &s.member)
	}
	n.watch.mu.Lock()
	defer n.watch.mu.Unlock()
	rooms := n.index.Remove(nil, &s.member)
	for _, room := range rooms {
		n.leftLocked(s, room)
	}
	return rooms
}

func (n *Namespace) joinedLocked(s *Socket, room string, existed bool) {
	if !existed {
		n.noteLocked(RoomEvent{Change: RoomCreated, Room: room})
	}
	n.noteLocked(RoomEvent{Change: RoomJoined, Room: room, Socket: s.id})
}

func (n *Namespace) leftLocked(s *Socket, room string) {
	n.noteLocked(RoomEvent{Change: RoomLeft, Room: room, Socket: s.id})
	if !n.index.Holds(room) {
		n.noteLocked(RoomEvent{Change: RoomDeleted, Room: room})
	}
}

// noteLocked queues an event, or takes the one away that it undoes.
func (n *Namespace) noteLocked(e RoomEvent) {
	w := &n.watch
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
		n.io.tellers.Go(n.tellRooms)
	}
}

// tellRooms tells what waits. It lives while something does.
func (n *Namespace) tellRooms() {
	w := &n.watch
	for {
		w.mu.Lock()
		first := w.waiting.Front()
		if first == nil {
			w.working = false
			w.mu.Unlock()
			return
		}
		e := w.waiting.Remove(first).(RoomEvent)
		delete(w.byPlace, place{e.Room, e.Socket})
		handlers := w.handlers
		w.mu.Unlock()
		for _, f := range handlers {
			n.tellRoom(f, e)
		}
	}
}

// tellRoom calls one handler; whether it panics or not, the next is called too.
func (n *Namespace) tellRoom(f func(RoomEvent), e RoomEvent) {
	defer n.io.survive()
	f(e)
}
