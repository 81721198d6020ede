package socketio

import (
	"fmt"

	"github.com/carillon-io/carillon/pkg/adapter"
	"github.com/carillon-io/carillon/pkg/socketio/packet"
)

// SocketInfo describes a socket of any node.
type SocketInfo = adapter.SocketInfo

// RemoteSocket is a socket of any node as FetchSockets found it, and acts on it wherever it is.
type RemoteSocket struct {
	SocketInfo // as it was then

	nsp *Namespace
}

// Emit sends an event to the socket.
func (r RemoteSocket) Emit(event string, args ...any) error { return r.emitter().Emit(event, args...) }

// Join makes the socket join rooms: see Emitter.SocketsJoin.
func (r RemoteSocket) Join(rooms ...string) { r.emitter().SocketsJoin(rooms...) }

// Leave makes the socket leave rooms.
func (r RemoteSocket) Leave(rooms ...string) { r.emitter().SocketsLeave(rooms...) }

// Disconnect takes the socket out of the namespace.
func (r RemoteSocket) Disconnect() { r.emitter().DisconnectSockets(false) }

// CloseConnection disconnects every namespace of the socket's connection, then closes it.
func (r RemoteSocket) CloseConnection() { r.emitter().DisconnectSockets(true) }

// UnmarshalData decodes the data of the socket into v, a pointer, as encoding/json does.
func (r RemoteSocket) UnmarshalData(v any) error {
	if err := packet.Unmarshal(r.Data, nil, v); err != nil {
		return fmt.Errorf("socketio: decode data of %s: %w", r.ID, err)
	}
	return nil
}

// emitter addresses the socket.
func (r RemoteSocket) emitter() Emitter { return r.nsp.To(r.ID) }
