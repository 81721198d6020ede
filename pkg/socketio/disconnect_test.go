package socketio_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio"
)

// farewell is what the disconnect handlers of a socket saw.
type farewell struct {
	before, after string // reasons
	during, left  []string
	listed        int
}

func farewells(n *socketio.Namespace) <-chan farewell {
	ch := make(chan farewell, 16)
	n.OnConnect(func(s *socketio.Socket) {
		var f farewell
		_ = s.Join("r")
		s.OnDisconnecting(func(r string) { f.before, f.during = r, s.Rooms(nil) })
		s.OnDisconnect(func(r string) {
			f.after, f.left, f.listed = r, s.Rooms(nil), n.Sockets()
			ch <- f
		})
	})
	return ch
}

func TestDisconnect_HandlersHearTheReasonWithRoomsAndThenWithout(t *testing.T) {
	for name, c := range map[string]struct {
		end    func(*peer, *socketio.Server, *socketio.Socket)
		reason string
		reads  []string
	}{
		"client leaves": {
			func(p *peer, _ *socketio.Server, _ *socketio.Socket) { p.send(`41/foo,`) }, "client namespace disconnect", nil,
		},
		"client closes": {
			func(p *peer, _ *socketio.Server, _ *socketio.Socket) { p.hangup() }, "transport close", nil,
		},
		"server disconnects": {
			func(_ *peer, _ *socketio.Server, s *socketio.Socket) { s.Disconnect() },
			"server namespace disconnect", []string{`41/foo,`},
		},
		"application has its reason": {
			func(_ *peer, _ *socketio.Server, s *socketio.Socket) { s.DisconnectWith("token expired") },
			"token expired", []string{`41/foo,`},
		},
		"server closes the connection": {
			func(_ *peer, _ *socketio.Server, s *socketio.Socket) { s.CloseConnection() },
			"server namespace disconnect", []string{`41/foo,`, `closed`},
		},
		"server closes": {
			func(_ *peer, io *socketio.Server, _ *socketio.Socket) { io.Close() }, "server shutting down", []string{`closed`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, url := serve(t, socketio.Config{})
			n := server.Of("/foo")
			connected := sockets(n)
			gone := farewells(n)
			p, id := join(t, url, "/foo")
			s := receive(t, connected)
			c.end(p, server, s)
			f := receive(t, gone)
			if f.before != c.reason || f.after != c.reason || !slices.Equal(f.during, []string{id, "r"}) || len(f.left) > 0 {
				t.Errorf("saw %+v", f)
			}
			if f.listed != 0 {
				t.Errorf("%d sockets left", f.listed)
			}
			if !strings.HasPrefix(name, "client closes") {
				p.expect(c.reads...)
			}
			s.Disconnect()
			if err := s.Join("late"); !errors.Is(err, socketio.ErrDisconnected) || s.In("late") {
				t.Errorf("late join: %v", err)
			}
			nothing(t, gone)
		})
	}
}

func TestDisconnect_LeavesOtherNamespacesAlone(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	echo(server.Of("/"))
	server.Of("/foo")
	p, _ := join(t, url, "/", "/foo")
	p.send(`41/foo,`)
	p.sync()
	p.connect("/foo")
	p.sync()
}

func TestDisconnect_CloseConnectionTellsEveryNamespace(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	connected := sockets(server.Of("/"))
	gone := farewells(server.Of("/foo"))
	p, _ := join(t, url, "/", "/foo")
	receive(t, connected).CloseConnection()
	p.expect(`41`, `41/foo,`, `closed`)
	if f := receive(t, gone); f.after != "server namespace disconnect" {
		t.Errorf("reason %q", f.after)
	}
}

func TestDisconnect_EventsTheClientSentBeforeAreHandledFirst(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	began, release := make(chan struct{}), make(chan struct{})
	saw := make(chan string, 3)
	server.Of("/").OnConnect(func(s *socketio.Socket) {
		s.On("hold", func() { close(began); <-release })
		s.On("bye", func() { saw <- "bye" })
		s.OnDisconnect(func(string) { saw <- "gone" })
	})
	p, _ := join(t, url)
	p.send(`42["hold"]`, `42["bye"]`, `41`)
	receive(t, began)
	close(release)
	if first, second := receive(t, saw), receive(t, saw); first != "bye" || second != "gone" {
		t.Errorf("handled %s, %s", first, second)
	}
}

func TestDisconnect_EventsOfASocketThatWasThrownOutAreDropped(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	saw := make(chan string, 3)
	server.Of("/").OnConnect(func(s *socketio.Socket) {
		s.On("out", func(ack socketio.Ack) {
			_ = waitForClient(context.Background(), s)
			s.Disconnect()
			_ = ack.Send("too late")
		})
		s.On("more", func() { saw <- "more" })
		s.OnDisconnect(func(string) { saw <- "gone" })
	})
	p, _ := join(t, url)
	p.send(`427["out"]`)
	p.expect(`420["wait"]`)
	p.send(`42["more"]`, `430[]`)
	p.expect(`41`)
	if first := receive(t, saw); first != "gone" {
		t.Errorf("handled %s", first)
	}
	if again := p.connect("/"); again == "" {
		t.Error("no id")
	}
}

func TestDisconnect_WhileConnectingMakesNoSocket(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/foo")
	connected, gone := sockets(n), farewells(n)
	ended := make(chan struct{})
	n.Use(func(ctx context.Context, s *socketio.Socket) error {
		_ = waitForClient(ctx, s)
		close(ended)
		return nil
	})
	echo(server.Of("/"))
	p, _ := join(t, url)
	p.send(`40/foo`)
	p.expect(`42/foo,0["wait"]`)
	p.send(`41/foo`)
	receive(t, ended)
	p.sync()
	nothing(t, connected)
	nothing(t, gone)
}

func TestShutdown_ClosesTransportsWithoutDisconnectPacketsAndWaitsForHandlers(t *testing.T) {
	server, url := serve(t, socketio.Config{DrainWindow: time.Millisecond})
	gone := farewells(server.Of("/"))
	p, _ := join(t, url)
	if err := server.Shutdown(within(t)); err != nil {
		t.Fatal(err)
	}
	select {
	case f := <-gone:
		if f.after != "server shutting down" {
			t.Errorf("reason %q", f.after)
		}
	default:
		t.Error("handlers have not returned")
	}
	p.expect("closed")
}
