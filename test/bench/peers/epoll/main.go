//go:build linux

// Command epoll is the ceiling of what Go and the kernel allow: a thread for each core, each with an epoll set and its own
// connections, no goroutine and no buffer for an idle one, and everything that waits for a client written at once. It has
// rooms and acknowledgements and nothing else of Socket.IO: no sessions, no heartbeats, no polling, no limits, no check
// of what it reads.
//
//	epoll ADDRESS
package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"syscall"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: epoll ADDRESS")
		os.Exit(2)
	}
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "epoll:", err)
		os.Exit(1)
	}
}

func serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		return err
	}
	fd := -1 // a copy, which stays when the listener is collected
	var duplicated error
	err = raw.Control(func(original uintptr) { fd, duplicated = syscall.Dup(int(original)) })
	if err = errors.Join(err, duplicated); err != nil {
		return err
	}
	workers := make([]*worker, runtime.GOMAXPROCS(0))
	for i := range workers {
		if workers[i], err = newWorker(fd, workers); err != nil {
			return err
		}
	}
	failed := make(chan error)
	for _, w := range workers {
		go func() { failed <- w.run() }()
	}
	return <-failed
}
