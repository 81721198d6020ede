package socketio

import "github.com/carillon-io/carillon/internal/sio/conn"

// Logic decides for one socket, instead of handlers that are registered on it: see Namespace.SetLogic.
type Logic = conn.Logic

// Values holds at most one value of each type.
type Values = conn.Values

// Shared returns the *T of v, a new one on first use.
func Shared[T any](v *Values) *T { return conn.Shared[T](v) }

// Value returns the socket's value of type T, and whether SetValue has set one.
func Value[T any](s *Socket) (T, bool) { return conn.Value[T](s.values()) }

// SetValue keeps a value of type T for the socket, instead of the one before. A type of the package that calls it cannot
// meet another package's values.
func SetValue[T any](s *Socket, value T) { conn.SetValue(s.values(), value) }

func (s *Socket) values() *Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &s.extrasLocked().values
}
