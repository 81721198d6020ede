package engine

import (
	"errors"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/stack"
	"github.com/carillon-io/carillon/internal/wsconn"
	"github.com/carillon-io/carillon/internal/wsframe"
)

// readerRoom on the stack is what the deepest calls take without the application's own code, a rule that publishes to a room on every
// node: a stack of 16 KiB. A deeper call grows it as any other.
type readerRoom [10 << 10]byte

// read handles messages until the connection is parked or the session ends. It is a goroutine's first function.
func (s *Session) read() {
	stack.Grow[readerRoom]()
	conn := s.socket
	returned := false
	defer func() {
		if !returned { // runtime.Goexit in the receiver, as by testing's FailNow; or a bug, and it must not wait here
			go func() {
				s.end(ForcedClose, cause("the receiver ended its goroutine"))
				s.endReader(conn, wsconn.ErrEnded)
			}()
		}
	}()
	err := conn.Serve()
	returned = true
	if err == nil {
		return
	}
	if !errors.Is(err, wsconn.ErrEnded) {
		s.end(reasonFor(err), err)
	}
	s.endReader(conn, err)
}

// endReader closes a connection whose reading has ended. Every reader calls it last.
func (s *Session) endReader(conn *wsconn.Conn, err error) {
	conn.Linger(err)
	s.server.running.Done()
}

// reasonFor says why a session ends whose socket could not be read.
func reasonFor(readErr error) CloseReason {
	if v := wsframe.Violation(0); errors.As(readErr, &v) {
		return TransportError // we refused what it sent
	}
	return TransportClose
}

// owner is a Session as its WebSocket sees it: a type of its own, since a Session's exported methods are for applications.
type owner Session

var _ wsconn.Owner = (*owner)(nil)

// Resume starts a reader.
func (o *owner) Resume() { go (*Session)(o).read() }

// Receive handles one message.
func (o *owner) Receive(m wsframe.Message) (alive bool) {
	s := (*Session)(o)
	codec := s.socket.Codec()
	s.server.metrics.bytesIn[socketTransport(*codec)].Add(float64(len(m.Data)))
	var p eioproto.Packet
	switch {
	case codec.Plain():
		p = plainPacket(m)
	case m.Opcode == wsframe.Text:
		var err error
		if p, err = codec.Revision.DecodeText(m.Data); err != nil {
			s.end(ParseError, err)
			return false
		}
	default:
		var known bool
		if p, known = codec.Revision.DecodeBinary(m.Data); !known {
			return true
		}
	}
	// A POST that arrived before the upgrade may still be delivering.
	s.inbound.Lock()
	defer s.inbound.Unlock()
	return s.receive(p)
}

// OwePong owes the client a pong, instead of an older one that has not been sent yet. Behind a Close frame there is none.
func (o *owner) OwePong(pong *frame.Frame) {
	s := (*Session)(o)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.socket.MayQueue() {
		s.pong = pong
		s.kickLocked()
	}
}

// Progressed notes progress of a client that may be slow.
func (o *owner) Progressed() { (*Session)(o).progressed() }

// Kick starts a flush.
func (o *owner) Kick() { (*Session)(o).kick() }

// Farewell returns the Close frame and what goes before it. A client that is sent away gets a code, since the C++ client treats a
// Close frame without one as a disconnect that is meant, or no Close frame at all.
func (o *owner) Farewell(code wsframe.CloseCode) []byte {
	s := (*Session)(o)
	if code == 0 && s.silently() {
		return nil
	}
	f := s.chooseFarewell(code)
	var frames []byte
	if f.message != nil {
		frames = append(frames, s.socket.Codec().Wire(f.message)...)
	}
	return wsframe.AppendClose(frames, f.code, f.text)
}

// plainPacket is a WebSocket message of a plain session as a packet: its pongs mean what those of Engine.IO do.
func plainPacket(m wsframe.Message) eioproto.Packet {
	if m.Opcode == wsframe.Pong {
		return eioproto.Packet{Type: eioproto.Pong}
	}
	return eioproto.Packet{Type: eioproto.Message, Binary: m.Opcode == wsframe.Binary, Data: m.Data}
}

// A Farewell is a Receiver of a plain WebSocket session that chooses the last that its client receives.
type Farewell interface {
	// Farewell returns the code and the text of the Close frame, and a message that goes before it, from NewPlainFrame, or
	// nil. It is asked where neither Session.CloseWith has said so nor the client has sent a Close frame, with the code
	// that would be sent else: 0 for none, 1001 when the client is sent away, 1002, 1007, 1008 or 1009 for what it sent. It
	// must not block nor call the session.
	Farewell(code int) (int, string, *Frame)
}

// chooseFarewell returns the last that the client receives; code is the Close frame's where nothing else was chosen.
func (s *Session) chooseFarewell(code wsframe.CloseCode) farewell {
	s.mu.Lock()
	if s.closing != nil && s.closing.code != 0 {
		defer s.mu.Unlock()
		return s.closing.farewell
	}
	if code == 0 && s.toReturnLocked() {
		code = wsframe.GoingAway
	}
	s.mu.Unlock()
	if receiver, ok := s.receiver.(Farewell); ok && s.codec.Plain() {
		chosen, text, message := receiver.Farewell(int(code))
		return farewell{wsframe.CloseCode(chosen), text, message}
	}
	return farewell{code: code}
}

// silently reports whether the session ends without a Close frame. OkHttp reads nothing more after one and waits for its user to
// answer it, which the Java client of Socket.IO never does: sent away, it would notice that only when its heartbeat runs out.
func (s *Session) silently() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.toReturnLocked() && s.request.byOkHTTP() && !s.codec.Plain()
}
