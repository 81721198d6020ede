// Cluster is a Socket.IO server that runs as several processes on one Redis: presence of users, rooms that HTTP handlers of any
// process manage, and events between the processes.
//
//	go run ./examples/cluster -listen localhost:8001 &
//	go run ./examples/cluster -listen localhost:8002
//
// Clients connect to either with auth {user}. In front of several processes a balancer has to be sticky, or clients use the
// WebSocket transport only.
//
//	who         → [users]          everyone online, on all processes
//	POST /promote?user=ada         makes ada's sockets join the room staff, wherever they are; staff hears promoted(user)
//	POST /maintenance?message=…    every process tells its own clients
//	GET  /nodes                    how many sockets each process has
//
// Clients hear online(user) and offline(user).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os/signal"
	"syscall"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// patience is how long other processes, and clients when this one ends, have for an answer.
const patience = 5 * time.Second

func main() {
	listen := flag.String("listen", "localhost:8001", "address to serve")
	redisURL := flag.String("redis", "redis://localhost:6379", "URL of the Redis that connects the processes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *redisURL); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx ends. The order at the end matters: clients are sent away while the cluster still hears of it, then HTTP
// ends, then the cluster is left.
func run(ctx context.Context, listen, redisURL string) error {
	options, err := goredis.ParseURL(redisURL)
	if err != nil {
		return errors.New("-redis is not a Redis URL") // the error would repeat its password
	}
	client := goredis.NewClient(options)
	defer client.Close()
	a, err := newApp(client, listen)
	if err != nil {
		return err
	}
	cluster, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	left := make(chan error, 1)
	go func() { left <- a.io.Run(cluster) }()

	web := &http.Server{Addr: listen, Handler: a.routes(), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- web.ListenAndServe() }()
	log.Printf("serving http://%s/", listen)

	select {
	case err = <-served:
		err = fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	err = errors.Join(err, a.io.Shutdown(ending), web.Shutdown(ending))
	leave()
	return errors.Join(err, <-left)
}
