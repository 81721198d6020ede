package socketio

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/gorilla/websocket"

	"github.com/carillon-io/carillon/internal/native"
	"github.com/carillon-io/carillon/internal/sio/conn"
	"github.com/carillon-io/carillon/pkg/engine"
)

// WebSocket returns a handler for clients without a Socket.IO library, mounted at path and everything below it: each WebSocket is
// one socket, at path in the namespace "/" and at path/name in "/name". Without subprotocol a text or binary message is the event
// "message" with that argument, and so it goes out; other events go out as ["event", …]. With the subprotocol carillon.v1.json
// messages are objects: {"event", "args", "id"?} and {"ack", "args"} both ways, {"hello": {"sid", "namespace"}} from the server
// first, {"hello": {…}} from the client with what Socket.Auth returns, {"error": {"code", "message"}} before the server closes.
func (io *Server) WebSocket(path string) http.Handler {
	return io.door(path, func(w http.ResponseWriter, r *http.Request, nsp string) {
		d := conn.Door{Protocol: native.Plain, Namespace: nsp}
		chosen := ""
		if slices.Contains(websocket.Subprotocols(r), native.Subprotocol) {
			d.Protocol, chosen = native.JSON, native.Subprotocol
		}
		io.engine.ServePlain(w, r, chosen, doorOpener{io, d})
	})
}

// EventStream is WebSocket for readers of Server-Sent Events: each GET is one socket, whose events it is sent as name and list of
// arguments. A socket that is refused for good is answered 401, 403 or 404, on which browsers do not try again. With Config.Recovery
// events have ids, and a client that comes back with Last-Event-ID is the same socket and receives what it missed.
func (io *Server) EventStream(path string) http.Handler {
	return io.door(path, func(w http.ResponseWriter, r *http.Request, nsp string) {
		s := &stream{ResponseWriter: w, gone: r.Context().Done(), answered: make(chan *conn.Refused, 1)}
		d := conn.Door{Protocol: native.Events, Namespace: nsp, Answered: func(r *conn.Refused) { s.answered <- r }}
		if io.cfg.Recovery.Enabled {
			d.Last, _ = conn.ParseEventID(r.Header.Get("Last-Event-ID")) // one from elsewhere is none
		}
		io.engine.ServeStream(s, r, streamOpener{doorOpener{io, d}, s})
	})
}

// door calls serve with the namespace that a request below path names.
func (io *Server) door(path string, serve func(w http.ResponseWriter, r *http.Request, nsp string)) http.Handler {
	path = strings.TrimSuffix(path, "/")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nsp, ok := strings.CutPrefix(r.URL.Path, path)
		switch {
		case !ok || nsp != "" && nsp[0] != '/':
			http.NotFound(w, r)
		case io.origins != nil && io.origins.Preflight(w, r):
		case !io.ready(w, r):
		case nsp == "":
			serve(w, r, "/")
		default:
			serve(w, r, nsp)
		}
	})
}

// doorOpener opens the connection of a door for a session.
type doorOpener struct {
	io   *Server
	door conn.Door
}

func (o doorOpener) Open(s *engine.Session) engine.Receiver { return o.io.conns.OpenDoor(s, o.door) }

// streamOpener is doorOpener for a stream.
type streamOpener struct {
	doorOpener
	stream *stream
}

func (o streamOpener) Open(s *engine.Session) engine.Receiver {
	o.stream.ended = s.Done()
	return o.doorOpener.Open(s)
}

// stream holds the first answer back until the socket is connected: a refusal has a status of its own.
type stream struct {
	http.ResponseWriter
	answered chan *conn.Refused // has room for the one answer there is
	gone     <-chan struct{}    // of the request's context: its client hung up
	ended    <-chan struct{}    // of the session
	begun    bool
}

var errRefused = errors.New("socketio: the socket was refused")

// Unwrap lets http.ResponseController reach the rest of what the writer can do.
func (s *stream) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// FlushError sends what is written. The first call waits for the answer, and fails when that is no.
func (s *stream) FlushError() error {
	if !s.begun {
		s.begun = true
		if err := s.await(); err != nil {
			return err
		}
	}
	return http.NewResponseController(s.ResponseWriter).Flush()
}

// await waits until the socket is connected or refused. A refusal that passes by itself ends the stream instead, as does the
// end of the session: then browsers try again.
func (s *stream) await() error {
	select {
	case refused := <-s.answered:
		if refused == nil {
			return nil
		}
		if status := statusOf(refused); status != 0 {
			h := s.Header()
			h.Del("Content-Type")
			http.Error(s.ResponseWriter, refused.Message, status)
		}
		return errRefused
	case <-s.gone:
	case <-s.ended:
	}
	return errRefused
}

// statusOf is the status of a refusal that stands; 0: of one that passes.
func statusOf(r *conn.Refused) int {
	switch {
	case r.Message == conn.ErrInvalidNamespace.Message:
		return http.StatusNotFound
	case r.Code == conn.CodeToken:
		return http.StatusUnauthorized
	case r.Code == conn.CodeDenied:
		return http.StatusForbidden
	}
	return 0
}
