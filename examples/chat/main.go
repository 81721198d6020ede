package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// shutdownTime is how long open connections and handlers have to end.
const shutdownTime = 5 * time.Second

func main() {
	listen := flag.String("listen", "localhost:8000", "address to serve")
	client := flag.String("client", clientFolder(), "folder with the official client, socket.io.min.js")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *client); err != nil {
		log.Fatal(err)
	}
}

// clientFolder is where "make client" puts the official client, or where npm has it for the tests.
func clientFolder() string {
	const made, npm = "client", "test/node_modules/socket.io-client/dist"
	if _, err := os.Stat(filepath.Join(made, "socket.io.min.js")); err != nil {
		if _, err := os.Stat(npm); err == nil {
			return npm
		}
	}
	return made
}

func run(ctx context.Context, listen, client string) error {
	c, err := newChat()
	if err != nil {
		return err
	}
	web := &http.Server{Addr: listen, Handler: c.routes(client), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- web.ListenAndServe() }()
	ticking := make(chan struct{})
	clock, stopClock := context.WithCancel(ctx)
	go func() {
		defer close(ticking)
		c.clock(clock, time.Minute)
	}()
	defer func() {
		stopClock()
		<-ticking
	}()
	log.Printf("chat: http://%s/", listen)

	select {
	case err = <-served:
		c.io.Close()
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	err = errors.Join(c.io.Shutdown(ctx), web.Shutdown(ctx))
	if end := <-served; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}
