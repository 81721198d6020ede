package engine_test

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"

	"github.com/carillon-io/carillon/pkg/engine"
)

const small = "\x81\x82\x00\x00\x00\x004x" // a message, masked with zeros

// busily opens a session whose reader stays and waits for the next message.
func (s *server) busily() (*net.TCPConn, *client) {
	s.t.Helper()
	conn := s.raw("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\n" +
		"Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n")
	readUntil(s.t, conn, `"maxPayload":1000000}`)
	c := <-s.opened
	for range 2 * engine.Busy {
		write(s.t, conn, small)
		s.wantMessage(c, "x", false)
	}
	return conn.(*net.TCPConn), c
}

// cork keeps back what is written, so that it leaves in one segment with what ends the connection.
func cork(t *testing.T, conn *net.TCPConn) {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var set error
	err = raw.Control(func(descriptor uintptr) {
		set = syscall.SetsockoptInt(int(descriptor), syscall.IPPROTO_TCP, syscall.TCP_CORK, 1)
	})
	if err = errors.Join(err, set); err != nil {
		t.Fatal(err)
	}
}

// The kernel reports the last bytes and the end of the stream as one event, and a reader that takes a short read for all
// there was would not look again.
func TestBusy_TheEndThatComesWithTheLastMessageIsSeen(t *testing.T) {
	for _, c := range []struct {
		name    string
		end     func(*net.TCPConn) error
		arrives bool // what was written before
	}{
		{"half closed", (*net.TCPConn).CloseWrite, true},
		{"closed", (*net.TCPConn).Close, true},
		{"reset", func(conn *net.TCPConn) error { return errors.Join(conn.SetLinger(0), conn.Close()) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, engine.Config{})
			for range 50 {
				conn, client := s.busily()
				cork(t, conn)
				write(t, conn, small)
				if err := c.end(conn); err != nil {
					t.Fatal(err)
				}
				s.wantClosed(client, engine.TransportClose)
				if c.arrives {
					s.wantMessage(client, "x", false)
				}
			}
		})
	}
}

func TestBusy_WhatEndsABusyConnection(t *testing.T) {
	for _, c := range []struct {
		name   string
		end    func(*server, *client)
		reason engine.CloseReason
	}{
		{"Session.Close", func(_ *server, c *client) { c.session.Close(engine.Limit) }, engine.Limit},
		{"a slow consumer", func(_ *server, c *client) { c.session.Close(engine.SlowConsumer) }, engine.SlowConsumer},
		{"Server.Close", func(s *server, _ *client) { s.Server.Close() }, engine.ShuttingDown},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, engine.Config{})
			conn, client := s.busily()
			go func() { // so that the server does not wait for its Close frame to be answered
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			}()
			c.end(s, client)
			s.wantClosed(client, c.reason)
		})
	}
}

// The first message after a rest shows that the connection is idle again.
func TestBusy_AConnectionThatFallsIdleIsParkedAndWakes(t *testing.T) {
	s := start(t, engine.Config{PingInterval: 3 * engine.Quiet})
	conn, client := s.busily()
	if engine.Parked(client.session) {
		t.Error("parked while busy")
	}
	readUntil(t, conn, "\x81\x012")
	write(t, conn, "\x81\x81\x00\x00\x00\x003") // a pong
	s.parked(client)
	for range 3 * engine.Busy { // and busy once more
		write(t, conn, small)
		s.wantMessage(client, "x", false)
	}
	cork(t, conn)
	write(t, conn, small)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	s.wantMessage(client, "x", false)
	s.wantClosed(client, engine.TransportClose)
}

// Everything that reaches for a reader at the same time: its client, that client's end, senders and Close.
func TestBusy_ManyAtOnceEndOnce(t *testing.T) {
	s := start(t, engine.Config{}, echoing)
	var all sync.WaitGroup
	for i := range 40 {
		conn := s.raw("GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\nHost: x\nConnection: Upgrade\nUpgrade: websocket\n" +
			"Sec-WebSocket-Version: 13\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n").(*net.TCPConn)
		client := <-s.opened
		all.Go(func() { _, _ = io.Copy(io.Discard, conn) })
		all.Go(func() {
			for range 100 + 10*i {
				if _, err := io.WriteString(conn, small); err != nil {
					break
				}
			}
			switch i % 4 {
			case 0:
				_ = conn.CloseWrite()
			case 1:
				_ = conn.Close()
			case 2:
				client.session.Close(engine.ForcedClose)
				_ = conn.CloseWrite()
			case 3:
				client.session.Close(engine.SlowConsumer)
			}
			<-client.closed
			if len(client.closed) > 0 {
				t.Error("closed twice")
			}
		})
	}
	all.Wait()
	s.eventually("none is left", func() bool { return s.Sessions() == 0 })
}
