package api

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"

	"github.com/carillon-io/carillon/pkg/socketio"
)

// command is a call that has sockets do something, which further members say, and waits until all nodes have confirmed it.
func (s *Server) command(body []byte, further members, do func(context.Context, socketio.Emitter) (int, error)) (job, error) {
	if len(body) > s.limits.bytes { // what goes to the other nodes is no longer
		return job{}, errSize
	}
	var t target
	known := t.members(true)
	maps.Copy(known, further)
	if err := object(body, known); err != nil {
		return job{}, err
	}
	if err := t.check(); err != nil {
		return job{}, err
	}
	work := func(ctx context.Context) answer {
		n, err := do(ctx, s.emitter(&t))
		if missing, _ := missingOf(err); len(missing) > 0 {
			return problem{
				Status: http.StatusServiceUnavailable, Code: codeUnknown, Sockets: &n, Missing: missing,
				Detail: "not every node has confirmed; those that have not may do it all the same",
			}.answer()
		}
		return ok(http.StatusOK, struct {
			Sockets int `json:"sockets"`
		}{n})
	}
	return job{do: work, wait: s.cfg.Patience}, nil
}

// join is POST /v1/sockets/join.
func (s *Server) join(body []byte) (job, error) {
	var rooms []string
	j, err := s.command(body, members{"join": names(&rooms, 1)}, func(ctx context.Context, e socketio.Emitter) (int, error) {
		return e.ConfirmJoin(ctx, rooms...)
	})
	return needed(j, err, "join", rooms)
}

// leave is POST /v1/sockets/leave.
func (s *Server) leave(body []byte) (job, error) {
	var rooms []string
	j, err := s.command(body, members{"leave": names(&rooms, 1)}, func(ctx context.Context, e socketio.Emitter) (int, error) {
		return e.ConfirmLeave(ctx, rooms...)
	})
	return needed(j, err, "leave", rooms)
}

// needed refuses a call whose rooms were left out.
func needed(j job, err error, member string, rooms []string) (job, error) {
	if err == nil && rooms == nil {
		err = fmt.Errorf("%s: is missing", member)
	}
	return j, err
}

// disconnect is POST /v1/sockets/disconnect.
func (s *Server) disconnect(body []byte) (job, error) {
	var connections bool
	return s.command(body, members{"close": flag(&connections)}, func(ctx context.Context, e socketio.Emitter) (int, error) {
		return e.ConfirmDisconnect(ctx, connections)
	})
}

// countRoom is GET /v1/rooms/{room}.
func (s *Server) countRoom(r *http.Request) answer {
	room, err := url.PathUnescape(r.URL.EscapedPath()[len(roomPath):])
	if err == nil {
		err = checkRoom(room)
	}
	if err != nil {
		return invalid(err)
	}
	namespace := "/"
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return refuse(http.StatusBadRequest, codeInvalid, "the query cannot be read")
	}
	for name, values := range query {
		if name != "namespace" || len(values) > 1 {
			return refuse(http.StatusBadRequest, codeInvalid, "the query may hold namespace, once, and nothing else")
		}
		if err := checkNamespace(values[0]); err != nil {
			return refuse(http.StatusBadRequest, codeInvalid, "namespace: "+err.Error())
		}
		namespace = values[0]
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Patience)
	defer cancel()
	counts, err := s.cfg.Server.At(namespace).To(room).CountSockets(ctx)
	missing, unasked := missingOf(err)
	if unasked {
		return away()
	}
	sockets := 0
	for _, c := range counts {
		sockets += c.Sockets
	}
	return ok(http.StatusOK, struct {
		Sockets int      `json:"sockets"`
		Missing []string `json:"missing"`
	}{sockets, missing})
}
