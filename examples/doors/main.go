// Doors is one chat through three doors: a page with the official Socket.IO client, one with nothing but new WebSocket(url), and one
// that only looks on with EventSource. All three are one page, with ?door=socketio, ?door=websocket or ?door=events.
//
//	go run ./examples/doors -listen localhost:8000
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"io/fs"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio"
)

//go:embed page
var files embed.FS

func main() {
	listen := flag.String("listen", "localhost:8000", "address to serve")
	client := flag.String("client", "test/node_modules/socket.io-client/dist", "folder with the official client, socket.io.min.js")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *client); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, listen, client string) error {
	io, err := socketio.New(socketio.Config{DrainWindow: time.Second})
	if err != nil {
		return err
	}
	chat(io.Of("/chat"))
	web := &http.Server{Addr: listen, Handler: routes(io, client), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- web.ListenAndServe() }()
	log.Printf("doors: http://%s/", listen)
	select {
	case err := <-served:
		io.Close()
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err = errors.Join(io.Shutdown(ctx), web.Shutdown(ctx))
	if end := <-served; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}

// chat knows no doors: a message goes to all sockets of the room, whatever their clients speak.
func chat(n *socketio.Namespace) {
	n.Use(func(_ context.Context, s *socketio.Socket) error { return s.Join("lobby") })
	n.OnConnect(func(s *socketio.Socket) {
		s.On("message", func(e socketio.Event) {
			args := socketio.Args{JSON: append([]byte(`["message",`), e.Args.JSON[1:]...), Attachments: e.Args.Attachments}
			_ = n.To("lobby").EmitArgs(args)
			_ = e.Ack.Send("delivered")
		})
	})
}

// routes puts the three doors beside the page.
func routes(io *socketio.Server, client string) http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the path is a constant
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	mux.Handle("/ws/", io.WebSocket("/ws"))
	mux.Handle("/sse/", io.EventStream("/sse"))
	mux.Handle("/client/", http.StripPrefix("/client/", http.FileServer(http.Dir(client))))
	mux.Handle("/", http.FileServerFS(page))
	return mux
}
