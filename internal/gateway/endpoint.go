package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
)

// endpoint is an HTTP server and the listener it serves on.
type endpoint struct {
	name     string
	address  string
	listener net.Listener // given, or opened by listen
	server   *http.Server
	counted  *connections // nil: not counted
}

func newEndpoint(name string, l net.Listener, address string, h http.Handler, headerTimeout time.Duration, log httpLog) endpoint {
	return endpoint{name: name, address: address, listener: l, server: &http.Server{
		Handler:           impatient(h, headerTimeout),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.errorLog(),
		// No ReadTimeout: it would cut polls too, and bodies that are welcome.
		// No WriteTimeout: it would cut polls, which wait as long as there is nothing to say.
	}}
}

// impatient bounds how long a body that h does not read may take: net/http discards it before the answer leaves, which
// is as long as its sender likes.
func impatient(h http.Handler, patience time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		bound := func() {
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(patience)) // fails only on a closed connection
		}
		switch {
		case r.ContentLength == 0:
		case r.Method == http.MethodPost:
			defer bound() // until h returns, it decides how long the body may take
		default:
			bound() // now: a WebSocket takes the connection over, and the deadline off
		}
		h.ServeHTTP(w, r)
	})
}

func (e *endpoint) listen() error {
	if e.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", e.address)
	if err != nil {
		return fmt.Errorf("%s: %w", e.name, err)
	}
	e.listener = l
	return nil
}

// count has the endpoint's connections counted. It is called before serve.
func (e *endpoint) count(c *connections) {
	e.counted = c
	e.server.ConnState = c.changed
	e.server.ConnContext = c.keep
}

// serve accepts until stop or abort is called, over TLS where the server is configured for it.
func (e *endpoint) serve() error {
	var err error
	listener := e.listener
	if e.counted != nil {
		listener = countedListener{listener, e.counted}
	}
	if e.server.TLSConfig != nil {
		err = e.server.ServeTLS(engine.Listener(listener), "", "")
	} else {
		err = e.server.Serve(listener)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("%s: %w", e.name, err)
	}
	return nil
}

// stop ends the listener and waits for requests under way, at most until ctx ends. What is left then is cut, which is no
// fault of this node: it could wait for some of them for ever.
func (e *endpoint) stop(ctx context.Context) error {
	err := e.server.Shutdown(ctx)
	if err != nil && ctx.Err() != nil {
		err = e.server.Close()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", e.name, err)
	}
	return nil
}

// abort closes a listener that was never served on.
func (e *endpoint) abort() {
	if e.listener != nil {
		_ = e.listener.Close() // nothing was accepted
	}
}
