// Middleware is a Socket.IO server inside an existing net/http server: the middlewares that stand before all its handlers
// stand before Socket.IO, too, and what they find out about a request reaches the sockets.
//
//	go run ./examples/middleware
//	curl -c jar 'localhost:8002/login?user=ada' && curl -b jar localhost:8002/me
//
// A client that connects with that cookie is in the room of its user, and whoami is acknowledged with the user's name.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/carillon-io/carillon/pkg/engine"
	"github.com/carillon-io/carillon/pkg/socketio"
)

func main() {
	listen := flag.String("listen", "localhost:8002", "address to serve")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *listen); err != nil {
		log.Fatal(err)
	}
}

func serve(ctx context.Context, address string) error {
	io, err := newServer()
	if err != nil {
		return err
	}
	web := &http.Server{Addr: address, Handler: routes(io), ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() {
		drain, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = io.Shutdown(drain) // clients that are left are cut
		_ = web.Shutdown(drain)
	})
	if err := web.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// newServer makes the Socket.IO server. It takes the user from the socket's context, where the middleware has put it.
func newServer() (*socketio.Server, error) {
	io, err := socketio.New(socketio.Config{Engine: engine.Config{
		OnRefusal: func(r *http.Request, refusal engine.Refusal) {
			log.Printf("%s refused: %s (%s)", r.RemoteAddr, refusal.Message, refusal.Cause)
		},
	}})
	if err != nil {
		return nil, err
	}
	sockets := io.Of("/")
	sockets.Use(func(ctx context.Context, _ *socketio.Socket) error {
		if userOf(ctx) == "" {
			return errors.New("log in first")
		}
		return nil
	})
	sockets.OnConnect(func(s *socketio.Socket) {
		user := userOf(s.Context())
		_ = s.Join("user:" + user)                                    // no limit of rooms is set
		s.On("whoami", func(ack socketio.Ack) { _ = ack.Send(user) }) // a client that has gone needs no answer
	})
	return io, nil
}

// routes puts the same middlewares before Socket.IO as before any other handler.
func routes(io http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", logIn)
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(userOf(r.Context()) + "\n"))
	})
	mux.Handle("/socket.io/", io)
	return logged(authenticated(mux))
}
