package engine

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// upgrader reads through the buffer the hijacker brings. The pool of write buffers is never drawn
// from, but without one gorilla keeps a buffer with each connection.
var upgrader = websocket.Upgrader{
	WriteBufferPool: new(sync.Pool),
	CheckOrigin:     func(*http.Request) bool { return true }, // Config.Check has decided
}

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
func acceptWebSocket(w http.ResponseWriter, r *http.Request) (*wsConn, error) {
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
	conn := &wsConn{}
	frames, err := upgrader.Upgrade(hijacker{w, conn}, r, header)
	if err != nil {
		return nil, err
	}
	conn.frames = frames
	return conn, nil
}

// serveWebSocket opens a session on a WebSocket. The handler returns, which frees what net/http holds, and a goroutine
// of our own reads.
func (s *Server) serveWebSocket(w http.ResponseWriter, r *http.Request, c codec) {
	session := newSession(s, c, flatten(r, s.clientAddress(r)))
	conn, err := acceptWebSocket(w, r)
	if err != nil {
		s.handshake(transportWebSocket, resultBadRequest)
		return
	}
	conn.codec, conn.session, session.socket = c, session, conn
	session.queue = []*Frame{newFrame(packetOpen, s.openPacket(session.id, nil))}
	session.lease = leaseFlush // until Open has returned, so that the two may leave in one write
	if !session.open() {
		s.handshake(transportWebSocket, resultUnavailable)
		conn.finish(nil)
		return
	}
	s.handshake(transportWebSocket, resultOK)
	go session.flush()
	go session.read()
}

// read takes in messages until the connection or the session ends. It is a goroutine's first function and waits here,
// not inside gorilla: a reader that waits within 1,100 bytes of stack lives on 2 KiB, any more doubles that for every
// idle connection.
func (s *Session) read() {
	conn := s.socket
	for {
		_, _ = conn.input.Peek(1) // gorilla meets the error again
		switch s.take(conn) {
		case readAfresh:
			go s.read()
			return
		case readNoMore:
			return
		}
	}
}

// reading says how a reader goes on after a message.
type reading int

const (
	readOn reading = iota
	readAfresh
	readNoMore
)

// quiet is how long a connection must have been without messages for its reader to go on as a fresh goroutine: taking a
// message in has grown its stack, which would not shrink again.
const quiet = time.Second

// take takes in one message.
//
//go:noinline
func (s *Session) take(conn *wsConn) reading {
	began := s.server.now()
	kind, message, err := conn.next(s.server.config.MaxPayload)
	alive := false
	if err != nil {
		s.end(conn.reasonFor(err), false)
	} else {
		alive = s.receiveMessage(conn, kind, *message)
		release(message)
	}
	if !alive {
		conn.finish(err)
		s.server.running.Done()
		return readNoMore
	}
	rested := began - conn.last
	conn.last = began
	if rested > quiet {
		return readAfresh
	}
	return readOn
}

// receiveMessage takes in one WebSocket message.
func (s *Session) receiveMessage(conn *wsConn, kind int, message []byte) (alive bool) {
	s.server.metrics.bytesIn[transportWebSocket].Add(float64(len(message)))
	var p packet
	if kind == websocket.TextMessage {
		var err error
		if p, err = conn.codec.decodeText(message); err != nil {
			s.end(ParseError, false)
			return false
		}
	} else {
		var known bool
		if p, known = conn.codec.decodeBinary(message); !known {
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
