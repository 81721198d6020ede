package socketio

// Limits are those of Config that can change while the server runs; 0: any number.
type Limits struct {
	Rooms   int // per socket, its own room not counted
	Dynamic int // namespaces of OfFunc that exist here at once
	// ConnectRate and ConnectBurst bound the CONNECTs of one connection, per second over time and at once (0: as many as in a second). A connection
	// over them is closed.
	ConnectRate, ConnectBurst int
}

// SetLimits puts limits in force, instead of those of Config. What goes beyond them already stays. It may be called at any
// time.
func (io *Server) SetLimits(l Limits) { io.limits.Store(&l) }
