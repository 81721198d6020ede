package engine

import (
	"net/http"

	"github.com/carillon-io/carillon/internal/eioproto"
	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/polling"
	"github.com/carillon-io/carillon/internal/wsconn"
)

// request is what the query says.
type request struct {
	sid       string
	transport string
	revision  eioproto.Revision
	base64    bool
	jsonp     bool
	callback  string
	upgrade   bool
}

func readRequest(r *http.Request) request {
	query := ParseQuery(r.URL.RawQuery)
	q := request{
		sid:       query.Get("sid"),
		transport: query.Get("transport"),
		revision:  3, // as with Node's server, whatever else the client says
		base64:    query.Get("b64") != "",
		upgrade:   wsconn.Requested(r),
	}
	if query.Get("EIO") == "4" {
		q.revision = 4
	}
	if query.Has("j") {
		q.jsonp, q.callback = true, eioproto.JSONPIndex(query.Get("j"))
	}
	return q
}

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
			session.serveUpgrade(w, r, q.webSocketCodec())
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

// label is the transport as a metric names it.
func (q request) label() string {
	if q.upgrade || q.transport == transportWebSocket {
		return transportWebSocket
	}
	return transportPolling
}

// webSocketCodec: a client that polls without binary may well take it on a WebSocket.
func (q request) webSocketCodec() frame.Codec {
	return frame.Codec{Revision: q.revision, Base64: q.base64}
}

// resultOf names a refusal of Config.Check as a metric does.
func resultOf(refusal *Refusal) string {
	if refusal.Status == http.StatusServiceUnavailable {
		return resultUnavailable
	}
	return resultForbidden
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

// serveHandshake opens a session.
func (s *Server) serveHandshake(w http.ResponseWriter, r *http.Request, q request) {
	if q.upgrade {
		if s.mayUpgrade(w, r, q) {
			s.serveWebSocket(w, r, q.webSocketCodec(), wsconn.FirstProtocol(r), s.handler)
		}
		return
	}
	session := &Session{polling: &longPolling{jsonp: q.jsonp, callback: q.callback, lastPoll: s.now()}}
	session.init(s, frame.Codec{Revision: q.revision, Base64: q.base64 || q.jsonp}, r)
	if refusal, result := s.admission.admit(session, r); refusal != nil {
		s.handshake(transportPolling, result)
		s.refuse(w, r, false, refusal)
		return
	}
	if !session.open(s.handler) {
		s.admission.discharge(session)
		s.handshake(transportPolling, resultUnavailable)
		s.refuse(w, r, false, faultUnavailable)
		return
	}
	s.handshake(transportPolling, resultOK)
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
