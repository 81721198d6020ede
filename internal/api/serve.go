package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// roomPath begins the path of a room.
const roomPath = "/v1/rooms/"

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.working.Add(1)
	defer s.working.Done()
	connection := http.NewResponseController(w)
	_ = connection.SetWriteDeadline(time.Time{}) // ends that of the request before; both fail only where there is no connection
	c := s.find(r)
	a := s.answer(w, r, c)
	s.requests.WithLabelValues(c.name, strconv.Itoa(a.Status)).Inc()
	_ = connection.SetWriteDeadline(time.Now().Add(s.cfg.BodyTime))
	a.send(w)
}

// find returns what a path stands for.
func (s *Server) find(r *http.Request) *call {
	if c := s.calls[r.URL.Path]; c != nil {
		return c
	}
	// A slash that belongs to the name is escaped.
	if room, ok := strings.CutPrefix(r.URL.EscapedPath(), roomPath); ok && room != "" && !strings.Contains(room, "/") {
		return s.room
	}
	return s.unknown
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, c *call) answer {
	if c == s.document && r.Method == c.method {
		return answer{Status: http.StatusOK, Type: typeJSON, Body: Document}
	}
	client, known := s.cfg.Keys.find(r.Header.Get("Authorization"))
	switch {
	case !known:
		return refuse(http.StatusUnauthorized, codeUnauthorized, "a key is needed: Authorization: Bearer <key>, one of api.keys")
	case c == s.unknown:
		return refuse(http.StatusNotFound, codeNotFound, "there is nothing at this path; see /v1/openapi.json")
	case r.Method != c.method:
		a := refuse(http.StatusMethodNotAllowed, codeMethod, "this path takes "+c.method)
		a.allow = c.method
		return a
	case !s.rates.allow(client, 1):
		return tooMany()
	}
	defer s.running.Add(-1)
	if s.running.Add(1) > maxRequests {
		return refuse(http.StatusServiceUnavailable, codeOverloaded, "too many requests at once")
	}
	if c == s.room {
		return s.countRoom(r)
	}
	return s.post(w, r, c, client)
}

func (s *Server) post(w http.ResponseWriter, r *http.Request, c *call, client digest) answer {
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return refuse(http.StatusUnsupportedMediaType, codeMediaType, "compressed bodies are not read")
	}
	if r.URL.RawQuery != "" {
		return refuse(http.StatusBadRequest, codeInvalid, "this path takes no query: what is asked for stands in the body")
	}
	body, release, refused := s.bodies.read(w, r, s.cfg.MaxBody)
	defer release()
	if refused.Status != 0 {
		return refused
	}
	j, err := c.parse(body)
	switch {
	case errors.Is(err, errSize):
		return refuse(http.StatusRequestEntityTooLarge, codeTooLarge, err.Error())
	case err != nil:
		return invalid(err)
	case j.events > 1 && !s.rates.allow(client, j.events-1):
		return tooMany()
	}
	// It goes on when its caller leaves: what has begun has an outcome, which an Idempotency-Key keeps.
	do := func() answer {
		ctx := context.WithValue(s.open, causeKey{}, r.Header.Get("Traceparent"))
		ctx, cancel := context.WithTimeout(ctx, j.wait)
		defer cancel()
		return j.do(ctx)
	}
	if c.repeatable {
		return do()
	}
	return s.idempotency.run(r, client, body, j.wait, do)
}

func tooLarge(limit int) answer {
	return refuse(http.StatusRequestEntityTooLarge, codeTooLarge, "the body is longer than "+strconv.Itoa(limit)+" bytes")
}

func tooMany() answer {
	return refuse(http.StatusTooManyRequests, codeOverloaded, "this key's rate is used up")
}
