package move

import (
	"slices"

	"github.com/carillon-io/carillon/pkg/rooms"
)

// Kind is what a command does to the sessions that it is for.
type Kind uint8

// The kinds.
const (
	Event Kind = iota // they are sent Command.Event
	Join              // they join Command.Rooms
	Leave             // they leave Command.Rooms
	Kick              // they are disconnected
)

// Command is a command of a namespace. E is what stands for an event.
type Command[E any] struct {
	Kind   Kind
	Target rooms.Target
	Rooms  []string
	Event  E
}

// Session is a session as commands change it.
type Session[E any] struct {
	Rooms  map[string]struct{} // its own among them
	Most   int                 // rooms that it may be in beside its own; 0: any number
	Events []E                 // that it is to be sent
	Kicked bool                // nothing changes it any more
}

// NewSession is a session in rooms, its own among them.
func NewSession[E any](names []string, most int) Session[E] {
	s := Session[E]{Rooms: make(map[string]struct{}, len(names)+1), Most: most}
	for _, name := range names {
		s.Rooms[name] = struct{}{}
	}
	return s
}

// Apply does what a command says, if it is for the session.
func (s *Session[E]) Apply(c *Command[E]) {
	if s.Kicked || !s.matches(c.Target) {
		return
	}
	switch c.Kind {
	case Event:
		s.Events = append(s.Events, c.Event)
	case Join:
		s.join(c.Rooms)
	case Leave:
		for _, name := range c.Rooms {
			delete(s.Rooms, name)
		}
	case Kick:
		s.Kicked = true
	}
}

func (s *Session[E]) matches(t rooms.Target) bool {
	return (len(t.Rooms) == 0 || slices.ContainsFunc(t.Rooms, s.in)) && !slices.ContainsFunc(t.Except, s.in)
}

func (s *Session[E]) in(name string) bool {
	_, in := s.Rooms[name]
	return in
}

// join joins all rooms, or none where they would be too many.
func (s *Session[E]) join(names []string) {
	var fresh []string
	for _, name := range names {
		if !s.in(name) && !slices.Contains(fresh, name) {
			fresh = append(fresh, name)
		}
	}
	if s.Most > 0 && len(s.Rooms)-1+len(fresh) > s.Most {
		return
	}
	for _, name := range fresh {
		s.Rooms[name] = struct{}{}
	}
}
