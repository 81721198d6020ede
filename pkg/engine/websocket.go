package engine

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/idle"
	"github.com/carillon-io/carillon/internal/wsframe"
	"github.com/gorilla/websocket"
	"go.uber.org/zap"
)

// upgrader answers handshakes; its connections are dropped after that. The smallest buffer and a pool that is never
// drawn from keep it from making buffers that are not used.
var upgrader = websocket.Upgrader{
	ReadBufferSize:  1,
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

// offeredFirst is the subprotocol that Node's server chooses: the first one offered.
func offeredFirst(r *http.Request) string {
	first, _, _ := strings.Cut(r.Header.Get("Sec-WebSocket-Protocol"), ",")
	return strings.TrimSpace(first)
}

// acceptWebSocket answers 101 with the headers already set on w, and the subprotocol if it is not empty. When it returns an error the request has been
// answered, or the connection is gone.
func (s *Server) acceptWebSocket(conn *wsConn, w http.ResponseWriter, r *http.Request, c frame.Codec, protocol string) error {
	header := w.Header().Clone()
	if protocol != "" {
		header.Set("Sec-WebSocket-Protocol", protocol)
	}
	if r.Header.Get("Sec-WebSocket-Version") == "8" {
		// Versions 8 and 13 differ in the name of the origin header only; gorilla knows 13.
		r = r.Clone(r.Context())
		r.Header.Set("Sec-WebSocket-Version", "13")
	}
	if s.config.CompressWebSocket {
		if answer := wsframe.AnswerDeflate(r.Header.Values("Sec-WebSocket-Extensions")); answer != "" {
			header["Sec-WebSocket-Extensions"] = []string{answer} // gorilla refuses the name as net/http spells it
			c.Deflate = true
		}
	}
	conn.codec, conn.in.Deflate = c, c.Deflate
	hijack := &hijacker{ResponseWriter: w, conn: conn}
	if _, err := upgrader.Upgrade(hijack, r, header); err != nil {
		if errors.Is(hijack.err, http.ErrNotSupported) {
			s.unhijackable.Do(func() {
				s.config.Logger.Warn("no WebSocket is possible: middleware wraps http.ResponseWriter in a type that has neither Hijack nor Unwrap",
					zap.String("type", fmt.Sprintf("%T", w)))
			})
		}
		s.reportRefusal(r, faultBadRequest.because(err.Error()))
		return err
	}
	switch {
	case conn.below != nil:
		conn.below.Patient(s.outboxes.add)
	case conn.socket == nil:
		s.warnOfWrapper(conn.Conn)
	}
	return nil
}

// warnOfWrapper says once that a listener keeps idle connections from being parked.
func (s *Server) warnOfWrapper(conn net.Conn) {
	if _, encrypted := conn.(*tls.Conn); encrypted || runtime.GOOS != "linux" {
		return
	}
	s.wrapped.Do(func() {
		s.config.Logger.Warn("idle WebSockets keep a goroutine and a buffer each: the listener wraps connections in a type without SyscallConn",
			zap.String("type", fmt.Sprintf("%T", conn)))
	})
}

// serveWebSocket has h open a session on a WebSocket. The handler returns, which frees what net/http holds, and a goroutine
// of our own reads.
func (s *Server) serveWebSocket(w http.ResponseWriter, r *http.Request, c frame.Codec, protocol string, h Handler) {
	both := &struct { // one object: they live and die together
		Session
		wsConn
	}{}
	session := &both.Session
	session.init(s, c, r)
	if refusal, result := s.admission.admit(session, r); refusal != nil {
		s.handshake(socketTransport(c), result)
		s.refuse(w, r, !c.Plain(), refusal)
		return
	}
	conn := &both.wsConn
	if err := s.acceptWebSocket(conn, w, r, c, protocol); err != nil {
		s.admission.discharge(session)
		s.handshake(socketTransport(c), resultBadRequest)
		return
	}
	conn.session, session.socket = session, conn
	if !c.Plain() {
		session.outbox.AddOnce(frame.New(eioproto.Open, s.openPacket(session.id, nil)))
	}
	session.lease = leaseFlush // until Open has returned, so that the two may leave in one write
	if !session.open(h) {
		s.admission.discharge(session)
		s.handshake(socketTransport(c), resultUnavailable)
		conn.linger(nil)
		return
	}
	s.handshake(socketTransport(c), resultOK)
	session.startFlush()
	go session.read()
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

// Listener wraps the listener of a server with TLS, for http.Server.ServeTLS: idle WebSockets on its connections are then
// parked, as they are without TLS. Elsewhere than on Linux it changes nothing.
func Listener(l net.Listener) net.Listener { return parkingListener{l} }

type parkingListener struct{ net.Listener }

func (l parkingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		if parkable := idle.NewRecords(conn); parkable != nil {
			return parkable, nil
		}
	}
	return conn, err
}
