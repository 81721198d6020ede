package engine

import (
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/wsframe"
	"github.com/gorilla/websocket"
)

// upgrader answers handshakes; its connections are dropped after that. The smallest buffer and a pool that is never
// drawn from keep it from making buffers nobody uses.
var upgrader = websocket.Upgrader{
	ReadBufferSize:  1,
	WriteBufferPool: new(sync.Pool),
	CheckOrigin:     func(*http.Request) bool { return true }, // Config.Check has decided
}

// compressingUpgrader agrees to compression; it answers both no_context_takeover parameters and no other.
var compressingUpgrader = func() websocket.Upgrader {
	u := upgrader
	u.EnableCompression = true
	return u
}()

func validKey(r *http.Request) bool {
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	return err == nil && len(key) == 16
}

func knownVersion(r *http.Request) bool {
	version := r.Header.Get("Sec-WebSocket-Version")
	return version == "13" || version == "8"
}

// acceptWebSocket answers 101 with the headers already set on w. When it returns an error the request has been
// answered, or the connection is gone.
func (s *Server) acceptWebSocket(w http.ResponseWriter, r *http.Request, c codec) (*wsConn, error) {
	header := w.Header().Clone()
	if offered := r.Header.Get("Sec-WebSocket-Protocol"); offered != "" {
		first, _, _ := strings.Cut(offered, ",")
		header.Set("Sec-WebSocket-Protocol", strings.TrimSpace(first))
	}
	if r.Header.Get("Sec-WebSocket-Version") == "8" {
		// Versions 8 and 13 differ in the name of the origin header only; gorilla knows 13.
		r = r.Clone(r.Context())
		r.Header.Set("Sec-WebSocket-Version", "13")
	}
	accept := &upgrader
	if s.config.CompressWebSocket && wsframe.OffersDeflate(r.Header.Values("Sec-WebSocket-Extensions")) {
		accept, c.deflate = &compressingUpgrader, true
	}
	conn := &wsConn{codec: c, in: wsframe.Reader{Deflate: c.deflate}}
	if _, err := accept.Upgrade(hijacker{w, conn}, r, header); err != nil {
		s.reportRefusal(r, faultBadRequest.because(err.Error()))
		return nil, err
	}
	return conn, nil
}

// serveWebSocket opens a session on a WebSocket. The handler returns, which frees what net/http holds, and a goroutine
// of our own reads.
func (s *Server) serveWebSocket(w http.ResponseWriter, r *http.Request, c codec) {
	session := newSession(s, c, r)
	if refusal, result := s.admission.admit(session); refusal != nil {
		s.handshake(transportWebSocket, result)
		s.refuse(w, r, true, refusal)
		return
	}
	conn, err := s.acceptWebSocket(w, r, c)
	if err != nil {
		s.admission.discharge(session)
		s.handshake(transportWebSocket, resultBadRequest)
		return
	}
	conn.session, session.socket = session, conn
	session.queue = []*Frame{newFrame(eioproto.Open, s.openPacket(session.id, nil))}
	session.lease = leaseFlush // until Open has returned, so that the two may leave in one write
	if !session.open() {
		s.admission.discharge(session)
		s.handshake(transportWebSocket, resultUnavailable)
		conn.finish(nil)
		return
	}
	s.handshake(transportWebSocket, resultOK)
	session.startFlush()
	go session.read()
}

const (
	// quiet is how long a connection must have been without messages to be taken for an idle one.
	quiet = time.Second
	// busy is how many messages, each within quiet of the one before, make a connection worth a reader that waits. It
	// waits until the next message after a rest, which is a pong at the latest.
	busy = 16
)

// paced notes when a message came.
func (c *wsConn) paced(now time.Duration) {
	rested := now - c.last
	c.last = now
	switch {
	case rested > quiet:
		c.frequent = 0
	case c.frequent < busy:
		if c.frequent++; c.frequent == busy {
			c.watching = c.watch()
		}
	}
}

// errOver: a message ended the session.
var errOver = errors.New("engine: the session is over")

// read takes in messages until the connection is idle or the session ends. It is a goroutine's first function.
func (s *Session) read() {
	conn := s.socket
	var err error
	returned := false
	defer func() {
		if !returned { // runtime.Goexit in the receiver, as by testing's FailNow; or a bug, and it must not wait here
			go func() {
				s.end(ForcedClose, false, cause("the receiver ended its goroutine"))
				s.stopReading(conn, errOver)
			}()
		}
	}()
	for err == nil {
		if conn.raw == nil {
			if err = s.take(conn); err == nil && conn.frequent == 0 {
				// Taking a message in has grown the stack, which would not shrink again.
				go s.read()
				returned = true
				return
			}
			continue
		}
		err = s.readTurn(conn)
		switch {
		case errors.Is(err, errIdle):
			if conn.park() {
				returned = true
				return
			}
			conn.staying, err = true, nil
		case errors.Is(err, os.ErrDeadlineExceeded) && conn.resume():
			err = nil
		}
	}
	returned = true
	if !errors.Is(err, errOver) {
		s.end(reasonFor(err), false, err)
	}
	s.stopReading(conn, err)
}

// stopReading is what every reader ends with whose connection is over.
func (s *Session) stopReading(conn *wsConn, err error) {
	conn.finish(err)
	s.server.idle.Remove(&conn.slot)
	s.server.running.Done()
}

// take takes in one message.
func (s *Session) take(conn *wsConn) error {
	m, err := conn.next(s.server.config.MaxPayload)
	if err != nil {
		return err
	}
	if !s.receiveMessage(conn, m) {
		return errOver
	}
	conn.paced(s.server.now())
	return nil
}

// receiveMessage takes in one WebSocket message.
func (s *Session) receiveMessage(conn *wsConn, m wsframe.Message) (alive bool) {
	s.server.metrics.bytesIn[transportWebSocket].Add(float64(len(m.Data)))
	var p eioproto.Packet
	if m.Opcode == wsframe.Text {
		var err error
		if p, err = conn.codec.revision.DecodeText(m.Data); err != nil {
			s.end(ParseError, false, err)
			return false
		}
	} else {
		var known bool
		if p, known = conn.codec.revision.DecodeBinary(m.Data); !known {
			return true
		}
	}
	// A POST that arrived before the upgrade may still be delivering.
	s.inbound.Lock()
	defer s.inbound.Unlock()
	return s.receive(p)
}

// queuePong owes the peer a pong; an older one it has not got yet is not worth sending.
func (s *Session) queuePong(conn *wsConn, pong []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn.pong = pong
	s.kickLocked()
}

// offersUpgrade reports whether r asks for a WebSocket.
func offersUpgrade(r *http.Request) bool {
	return websocket.IsWebSocketUpgrade(r)
}

// upgrades lists what a polling session may upgrade to.
func (s *Server) upgrades() []string {
	if slices.Contains(s.config.Transports, transportWebSocket) {
		return []string{transportWebSocket}
	}
	return nil
}
