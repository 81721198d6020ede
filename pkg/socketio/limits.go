package socketio

import "sync/atomic"

// Limits are those of Config that can change while the server runs; 0: any number.
type Limits struct {
	Rooms   int // per socket, its own room not counted
	Dynamic int // namespaces of OfFunc that exist here at once
}

// SetLimits puts limits in force, instead of Config.MaxRooms and Config.MaxDynamic. What goes beyond them already stays. It
// may be called at any time.
func (io *Server) SetLimits(l Limits) {
	io.limits.rooms.Store(int64(l.Rooms))
	io.limits.dynamic.Store(int64(l.Dynamic))
}

// limits are the Limits in force.
type limits struct{ rooms, dynamic atomic.Int64 }
