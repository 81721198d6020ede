package engine

import (
	"errors"
	"net"
	"net/http"
	"slices"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/wsconn"
	"github.com/carillon-io/carillon/internal/wsframe"
)

// Listener wraps the listener of a server with TLS, for http.Server.ServeTLS: idle WebSockets on its connections are then
// parked, as they are without TLS. Elsewhere than on Linux it changes nothing.
func Listener(l net.Listener) net.Listener { return wsconn.Listener(l) }

// upgrades lists what a polling session may upgrade to.
func (s *Server) upgrades() []string {
	if slices.Contains(s.config.Transports, transportWebSocket) {
		return []string{transportWebSocket}
	}
	return nil
}

// acceptWebSocket answers 101 with the headers already set on w. When it returns an error the request has been answered, or the
// connection is gone.
func (s *Server) acceptWebSocket(conn *wsconn.Conn, w http.ResponseWriter, r *http.Request, c frame.Codec, protocol string) error {
	err := s.webSockets.Accept(conn, w, r, c, protocol)
	if err != nil {
		s.reportRefusal(r, faultBadRequest.because(err.Error()))
	}
	return err
}

// serveWebSocket has h open a session on a WebSocket. The handler returns, which frees what net/http holds, and a goroutine
// of our own reads.
func (s *Server) serveWebSocket(w http.ResponseWriter, r *http.Request, c frame.Codec, protocol string, h Handler) {
	both := &struct { // one object: they live and die together
		Session
		wsconn.Conn
	}{}
	session := &both.Session
	session.init(s, c, r)
	if refusal, result := s.admission.admit(session, r); refusal != nil {
		s.handshake(socketTransport(c), result)
		s.refuse(w, r, !c.Plain(), refusal)
		return
	}
	conn := &both.Conn
	if err := s.acceptWebSocket(conn, w, r, c, protocol); err != nil {
		s.admission.discharge(session)
		s.handshake(socketTransport(c), resultBadRequest)
		return
	}
	conn.Carry((*owner)(session))
	session.socket = conn
	if !c.Plain() {
		session.outbox.AddOnce(frame.New(eioproto.Open, s.openPacket(session.id, nil)))
	}
	session.lease = leaseFlush // until Open has returned, so that the two may leave in one write
	if !session.open(h) {
		s.admission.discharge(session)
		s.handshake(socketTransport(c), resultUnavailable)
		conn.Linger(nil)
		return
	}
	s.handshake(socketTransport(c), resultOK)
	session.startFlush()
	go session.read()
}

// read handles messages until the connection is parked or the session ends. It is a goroutine's first function.
func (s *Session) read() {
	growReaderStack(false)
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

// endReader is what every reader whose connection is over ends with.
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
func (o *owner) OwePong(pong *Frame) {
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

// Farewell returns the last that the client receives. A client that is sent away gets a code, since the C++ client takes a
// Close frame without one for the end, or no Close frame at all.
func (o *owner) Farewell(code wsframe.CloseCode) []byte {
	s := (*Session)(o)
	if code == 0 && s.silently() {
		return nil
	}
	f := s.farewell(code)
	var frames []byte
	if f.message != nil {
		frames = append(frames, s.socket.Codec().Wire(f.message)...)
	}
	return wsframe.AppendClose(frames, f.code, f.text)
}
