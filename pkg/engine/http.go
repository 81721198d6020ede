package engine

import (
	"fmt"
	"net"
	"net/http"
	"strconv"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/polling"
	"github.com/carillon-io/carillon/internal/wsconn"
)

// Listener wraps the listener of a server with TLS, for http.Server.ServeTLS: idle WebSockets on its connections are then
// parked, as they are without TLS. Elsewhere than on Linux it changes nothing.
func Listener(l net.Listener) net.Listener { return wsconn.Listener(l) }

// ServeHTTP serves one Engine.IO request: handshake, poll, post or upgrade.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.serve(w, r, s.config.Unknown) }

// Local serves as ServeHTTP does, but answers an unknown session itself instead of asking Config.Unknown: for requests
// another node relayed.
func (s *Server) Local() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, nil) })
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, unknown http.Handler) {
	if s.config.Headers != nil {
		s.config.Headers(r, w.Header())
	}
	q := readRequest(r)
	if q.upgrade && !s.config.allows(transportWebSocket) {
		q.upgrade = false // upgrades are not served: a plain request
	}
	refuse := func(refusal *Refusal) { s.refuse(w, r, q.upgrade, refusal) }
	if s.config.Check != nil {
		if refusal := s.config.Check(r); refusal != nil {
			if q.sid == "" {
				s.handshake(q.label(), resultOf(refusal))
			}
			refuse(refusal)
			return
		}
	}
	if !s.config.allows(q.transport) {
		refuse(faultUnknownTransport.because("transport " + quoted(q.transport)))
		return
	}
	if q.sid == "" {
		if refusal, result := s.checkHandshake(r, q); refusal != nil {
			s.handshake(q.label(), result)
			refuse(refusal)
			return
		}
		s.serveHandshake(w, r, q)
		return
	}
	session := s.table.get(q.sid)
	switch {
	case session == nil && unknown != nil:
		unknown.ServeHTTP(w, r)
	case session == nil, session.ended() && (q.upgrade || r.Method != http.MethodGet):
		refuse(faultUnknownSession.because("sid " + quoted(q.sid)))
	case session.codec.Revision != q.revision:
		refuse(faultBadRequest.because("a session of another protocol revision"))
	case q.upgrade:
		if s.mayUpgrade(w, r, q) {
			s.serveUpgrade(session, w, r, q.webSocketCodec())
		}
	case q.transport != transportPolling:
		refuse(faultBadRequest.because("a WebSocket was named and none asked for"))
	case r.Method == http.MethodGet:
		session.servePoll(w, r)
	case r.Method == http.MethodPost:
		session.servePost(w, r)
	case session.Transport() != transportPolling:
		refuse(faultSwitched)
	default:
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// checkHandshake finds what forbids a new session, in the reference's order.
func (s *Server) checkHandshake(r *http.Request, q request) (*Refusal, string) {
	switch {
	case r.Method != http.MethodGet:
		return faultBadMethod.because("method " + r.Method), resultBadMethod
	case q.transport == transportWebSocket && !q.upgrade:
		return faultBadRequest.because("a WebSocket was named and none asked for"), resultBadRequest
	case q.revision == 3 && !s.config.EIO3:
		return faultUnsupported.because("revision 3, which is off"), resultUnsupported
	case s.refusing.Load():
		return faultUnavailable, resultUnavailable
	}
	return nil, ""
}

// openPacket is the content of the first packet.
func (s *Server) openPacket(id string, upgrades []string) []byte {
	list := ""
	if len(upgrades) > 0 {
		list = strconv.Quote(upgrades[0])
	}
	return fmt.Appendf(nil, `{"sid":"%s","upgrades":[%s],"pingInterval":%d,"pingTimeout":%d,"maxPayload":%d}`,
		id, list, s.config.PingInterval.Milliseconds(), s.config.PingTimeout.Milliseconds(), s.config.MaxPayload)
}

// upgrades lists what a polling session may upgrade to.
func (s *Server) upgrades() []string {
	if s.config.allows(transportWebSocket) {
		return []string{transportWebSocket}
	}
	return nil
}

// serveHandshake opens a session.
func (s *Server) serveHandshake(w http.ResponseWriter, r *http.Request, q request) {
	if q.upgrade {
		if s.mayUpgrade(w, r, q) {
			s.serveWebSocket(w, r, q.webSocketCodec(), wsconn.FirstProtocol(r), s.handler)
		}
		return
	}
	session := &Session{polling: &longPolling{jsonp: q.jsonp, callback: q.callback, lastPoll: s.now()}}
	session.init(&s.host, frame.Codec{Revision: q.revision, Base64: q.base64 || q.jsonp}, r)
	refusal, result := session.enter(r, s.handler)
	s.handshake(transportPolling, result)
	if refusal != nil {
		s.refuse(w, r, false, refusal)
		return
	}
	if s.config.Cookie != nil {
		cookie := *s.config.Cookie
		cookie.Value = session.id
		http.SetCookie(w, &cookie)
	}
	answer := polling.NewAnswered(w, frame.New(eioproto.Open, s.openPacket(session.id, s.upgrades())))
	if err := session.writeAnswer(w, r, answer); err != nil {
		session.end(TransportError, err) // the client does not know its id
	}
}

// mayUpgrade answers upgrades that can lead nowhere. One that names polling is accepted and closed, as the reference
// does.
func (s *Server) mayUpgrade(w http.ResponseWriter, r *http.Request, q request) bool {
	if refusal := upgradeFault(w, r); refusal != nil {
		s.refuse(w, r, true, refusal)
		return false
	}
	if q.transport != transportPolling {
		return true
	}
	conn := &wsconn.Conn{}
	if s.acceptWebSocket(conn, w, r, q.webSocketCodec(), wsconn.FirstProtocol(r)) == nil {
		conn.Linger(nil)
	}
	return false
}

// upgradeFault finds what is wrong with a request for a WebSocket.
func upgradeFault(w http.ResponseWriter, r *http.Request) *Refusal {
	switch {
	case r.Method != http.MethodGet:
		return faultBadMethod.because("method " + r.Method)
	case r.ProtoMajor != 1:
		return faultBadRequest.because("a WebSocket over " + r.Proto)
	case !wsconn.ValidKey(r):
		return &Refusal{Status: http.StatusBadRequest, Code: 3, Message: "Missing or invalid Sec-WebSocket-Key header"}
	case !wsconn.KnownVersion(r):
		w.Header().Set("Sec-WebSocket-Version", wsconn.Versions)
		return &Refusal{Status: http.StatusBadRequest, Code: 3, Message: "Missing or invalid Sec-WebSocket-Version header"}
	}
	return nil
}

// serveUpgrade answers 101 in any case, as the reference does, and closes the WebSocket when the session cannot use it.
func (s *Server) serveUpgrade(session *Session, w http.ResponseWriter, r *http.Request, c frame.Codec) {
	conn := &wsconn.Conn{}
	if s.acceptWebSocket(conn, w, r, c, wsconn.FirstProtocol(r)) != nil {
		return
	}
	u := session.attach(conn)
	if u == nil {
		conn.Linger(nil)
		return
	}
	go func() {
		if session.probe(u) {
			session.read()
		} else {
			s.running.Done()
		}
	}()
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
	session.init(&s.host, c, r)
	if refusal, result := session.admit(r); refusal != nil {
		s.handshake(socketTransport(c), result)
		s.refuse(w, r, !c.Plain(), refusal)
		return
	}
	conn := &both.Conn
	if err := s.acceptWebSocket(conn, w, r, c, protocol); err != nil {
		session.discharge()
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
		session.discharge()
		s.handshake(socketTransport(c), resultUnavailable)
		conn.Linger(nil)
		return
	}
	s.handshake(socketTransport(c), resultOK)
	session.startFlush()
	go session.read()
}
