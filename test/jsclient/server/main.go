package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
)

// site is what a suite needs: a handler to serve, and what ends its connections.
type site struct {
	handler http.Handler
	close   func()
}

var suites = map[string]struct {
	listen string
	open   func() (site, error)
}{
	"socket.io-client": {"127.0.0.1:3210", openSocketIO},
	"engine.io-client": {"127.0.0.1:3000", openEngineIO},

	"engine.io-protocol/v3": {"127.0.0.1:3000", openEngineProtocol(true)},
	"engine.io-protocol/v4": {"127.0.0.1:3000", openEngineProtocol(false)},
	"socket.io-protocol/v5": {"127.0.0.1:3000", openSocketProtocol},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

func run() error {
	name := flag.String("suite", "socket.io-client", "the client whose suite is to be answered")
	listen := flag.String("listen", "", "address to listen on; empty: the one the suite asks")
	flag.Parse()
	suite, ok := suites[*name]
	if !ok {
		return fmt.Errorf("no suite %q", *name)
	}
	if *listen != "" {
		suite.listen = *listen
	}
	site, err := suite.open()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	l, err := net.Listen("tcp", suite.listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	web := &http.Server{Handler: site.handler}
	served := make(chan error, 1)
	go func() { served <- web.Serve(l) }()
	fmt.Println("listening on", l.Addr()) // run.sh waits for this line

	select {
	case err = <-served:
	case <-ctx.Done():
		site.close()
		err = errors.Join(web.Close(), <-served)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve: %w", err)
}
