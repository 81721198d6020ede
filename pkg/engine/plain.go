package engine

import (
	"errors"
	"net/http"

	"github.com/carillon-io/carillon/internal/frame"
	"github.com/carillon-io/carillon/internal/polling"
	"github.com/carillon-io/carillon/internal/wsconn"
)

// A plain session speaks no Engine.IO: its messages are the frames of a WebSocket, or the parts of an event stream, as
// they are. All else is as with any session: admission, outbox, parking, ends. It has an id, which no request can name.

// ServePlain serves a request for a plain WebSocket session, which h opens. Send takes frames of NewPlainFrame.
// WebSocket pings keep it alive, as Config says for Engine.IO's. protocol is the Sec-WebSocket-Protocol that was chosen
// among those the client offers; empty: none. A refusal is answered with its own status. A Receiver may be a Farewell.
func (s *Server) ServePlain(w http.ResponseWriter, r *http.Request, protocol string, h Handler) {
	refusal, result := s.checkPlain(w, r)
	if refusal == nil && !wsconn.Requested(r) {
		w.Header().Set("Upgrade", "websocket")
		refusal, result = faultNoWebSocket, resultBadRequest
	}
	if refusal == nil {
		if refusal = upgradeFault(w, r); refusal != nil {
			result = resultBadRequest
		}
	}
	if refusal != nil {
		s.handshake(transportNative, result)
		s.refuse(w, r, false, refusal)
		return
	}
	s.serveWebSocket(w, r, frame.Codec{}, protocol, h)
}

// ServeStream serves a request for an event stream (Server-Sent Events), which h opens: a session that is only sent to.
// Send takes frames of NewPlainFrame, each of one or more events, the empty line behind each included. Comments
// keep the stream alive at Config.PingInterval. It returns when the session has ended, and the response with it: the
// client comes back by itself.
func (s *Server) ServeStream(w http.ResponseWriter, r *http.Request, h Handler) {
	refusal, result := s.checkPlain(w, r)
	session := &Session{polling: &longPolling{stream: true, lastPoll: s.now()}}
	if refusal == nil {
		session.init(&s.host, frame.Codec{}, r)
		refusal, result = session.enter(r, h)
	}
	s.handshake(transportStream, result)
	if refusal != nil {
		s.refuse(w, r, false, refusal)
		return
	}
	session.serveStream(w, r)
}

// checkPlain finds what forbids a new plain session.
func (s *Server) checkPlain(w http.ResponseWriter, r *http.Request) (*Refusal, string) {
	if s.config.Headers != nil {
		s.config.Headers(r, w.Header())
	}
	if s.config.Check != nil {
		if refusal := s.config.Check(r); refusal != nil {
			return refusal, resultOf(refusal)
		}
	}
	switch {
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		return &Refusal{Status: http.StatusMethodNotAllowed, Code: 2, Message: "Bad handshake method"}, resultBadMethod
	case s.refusing.Load():
		return faultUnavailable, resultUnavailable
	}
	return nil, ""
}

// serveStream answers one GET with all the session has to say.
func (s *Session) serveStream(w http.ResponseWriter, r *http.Request) {
	if err := polling.BeginEvents(w); err != nil {
		if errors.Is(err, http.ErrNotSupported) {
			s.server.config.Logger.Warn("no event stream is possible: middleware wraps http.ResponseWriter in a type that has neither Flush nor Unwrap")
		}
		s.end(TransportError, err)
		return
	}
	for {
		g := polling.NewGet(w)
		if s.sit(g) != accepted {
			return
		}
		err := s.await(g, r)
		if err == nil {
			err = s.writeEvents(w, g)
		}
		if err != nil {
			s.server.dropped(dropFailed, frame.Messages(g.Batch))
		}
		s.pollDone(g, err)
	}
}

// writeEvents writes a batch to an event stream. Its bound is taken back: over HTTP/2 it would end the stream also while nothing
// is written.
func (s *Session) writeEvents(w http.ResponseWriter, g *polling.Get) error {
	s.boundAnswer(g, s.server.config.PingInterval+s.server.config.PingTimeout)
	n, err := g.WriteEvents(w, &s.codec, (*owner)(s))
	s.boundAnswer(g, 0)
	if err == nil {
		s.server.metrics.written(transportStream, g.Batch, n)
	}
	return err
}
