package socketio

import (
	"errors"

	"github.com/carillon-io/carillon/pkg/rooms"
)

// Rooms appends the rooms the socket is in to dst, its own room first.
func (s *Socket) Rooms(dst []string) []string { return s.nsp.index.Rooms(dst, &s.member) }

// In reports whether the socket is in the room.
func (s *Socket) In(room string) bool { return s.nsp.index.Contains(&s.member, room) }

// Join puts the socket into rooms, here at once; other nodes' publishes follow once the cluster knows (JoinThen tells).
// Joining twice is harmless. ErrTooManyRooms when the limit would be passed: then no room was joined. A socket that has
// left joins nothing: ErrDisconnected.
func (s *Socket) Join(rooms ...string) error {
	if len(rooms) == 0 {
		return nil
	}
	return s.join(rooms)
}

// JoinThen is Join, and calls done once every later publish on any node is certain to reach the socket, or with the
// adapter's error (the membership stands all the same). done must not block.
func (s *Socket) JoinThen(done func(error), rooms ...string) {
	if len(rooms) == 0 {
		done(nil)
		return
	}
	if err := s.join(rooms); err != nil {
		done(err)
		return
	}
	s.client.io.adapter.Confirm(s.nsp.name, rooms, done)
}

// Leave takes the socket out of rooms.
func (s *Socket) Leave(rooms ...string) {
	if len(rooms) == 0 {
		return
	}
	s.nsp.leave(s, rooms)
	s.client.io.adapter.Touch(s.nsp.name, rooms...)
}

// join changes the membership, then tells the adapter.
func (s *Socket) join(names []string) error {
	err := s.nsp.join(s, names)
	switch {
	case errors.Is(err, rooms.ErrTooMany):
		return ErrTooManyRooms
	case err != nil:
		return ErrDisconnected
	}
	s.client.io.adapter.Touch(s.nsp.name, names...)
	return nil
}
