package socketio

import "github.com/carillon-io/carillon/pkg/socketio/packet"

// Disconnect takes the socket out of the namespace and tells the client, which does not come back by itself.
func (s *Socket) Disconnect() { s.DisconnectWith(reasonServer) }

// DisconnectWith is Disconnect with a reason of the application's for the handlers, such as "token expired".
func (s *Socket) DisconnectWith(reason string) {
	c := s.client
	c.mu.Lock()
	connected := s.state.Load() == stateConnected
	ended := c.endLocked(s, stateEnded, &end{reason: reason})
	if ended && connected {
		s.tellDisconnect()
	}
	c.mu.Unlock()
	s.failAcks()
}

// CloseConnection disconnects every namespace of the connection (DISCONNECT for each), then closes it.
func (s *Socket) CloseConnection() { s.client.closeAll() }

// OnDisconnecting adds a handler that runs when the socket has gone, while its rooms still stand. Handlers added once
// it has gone are not called. The reason is Node's: "client namespace disconnect", "server namespace disconnect" or an
// engine.CloseReason; or what DisconnectWith was given.
func (s *Socket) OnDisconnecting(f func(reason string)) {
	s.setHandlers(func(h *handlers) { h.disconnecting = append(h.disconnecting, f) })
}

// OnDisconnect adds a handler that runs after the rooms were left.
func (s *Socket) OnDisconnect(f func(reason string)) {
	s.setHandlers(func(h *handlers) { h.disconnected = append(h.disconnected, f) })
}

// Cause says more about a disconnect than its reason, as Node's description does: what was wrong with a packet of the
// client's, or the panic of a handler. It is nil when there is no more to say, and while the socket is connected.
func (s *Socket) Cause() error {
	if s.state.Load() < stateLeft {
		return nil
	}
	return s.end.cause
}

// tellDisconnect queues a DISCONNECT.
func (s *Socket) tellDisconnect() {
	s.queue(false, &outgoing{Packet: packet.Packet{Type: packet.Disconnect, Namespace: s.name}})
}

// leaveHandlers returns who is to be told that the socket goes.
func (s *Socket) leaveHandlers() (disconnecting, disconnected []func(string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.handlers == nil {
		return nil, nil
	}
	return s.handlers.disconnecting, s.handlers.disconnected
}
