package engine

import (
	"context"
	"net/http"
)

// keptContext is what a session keeps of its first request's context.
func (s *Server) keptContext(r *http.Request) context.Context {
	if s.config.Context != nil {
		return s.config.Context(r)
	}
	return context.WithoutCancel(r.Context())
}

// Context returns a context with the values that Config.Context kept of the session's first request. It is cancelled when
// the session has ended.
func (s *Session) Context() context.Context { return sessionContext{s.context, s} }

// sessionContext has the values of one context and the life of a session.
type sessionContext struct {
	context.Context
	session *Session
}

func (c sessionContext) Done() <-chan struct{} { return c.session.Done() }

func (c sessionContext) Err() error {
	if c.session.ended() {
		return context.Canceled
	}
	return nil
}
