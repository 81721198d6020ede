package socketio_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/prometheus/client_golang/prometheus"
)

// farewell is what the disconnect handlers of a socket saw.
type farewell struct {
	before, after socketio.Reason
	during, left  []string
	listed        int
}

func farewells(n *socketio.Namespace) <-chan farewell {
	ch := make(chan farewell, 16)
	n.OnConnect(func(s *socketio.Socket) {
		var f farewell
		_ = s.Join("r")
		s.OnDisconnecting(func(r socketio.Reason) { f.before, f.during = r, s.Rooms(nil) })
		s.OnDisconnect(func(r socketio.Reason) {
			f.after, f.left, f.listed = r, s.Rooms(nil), n.Sockets()
			ch <- f
		})
	})
	return ch
}

func TestDisconnect_HandlersHearTheReasonWithRoomsAndThenWithout(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end    func(*peer, *socketio.Server, *socketio.Socket)
		reason socketio.Reason
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
			t.Parallel()
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

// CloseConnection ends one namespace after another, while handlers of the first are called already.
func TestDisconnect_NoNamespaceHasTheSocketWhenItsHandlersAreCalled(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	const namespaces = 16 // as many as a connection may have
	connected := sockets(server.Of("/0"))
	var names []string
	gone := make(chan int, namespaces)
	for i := range namespaces {
		names = append(names, "/"+itoa(i))
		n := server.Of(names[i])
		n.OnConnect(func(s *socketio.Socket) { s.OnDisconnecting(func(socketio.Reason) { gone <- n.Sockets() }) })
	}
	for range 50 {
		join(t, url, names...)
		receive(t, connected).CloseConnection()
		for range namespaces {
			if left := receive(t, gone); left != 0 {
				t.Fatalf("%d sockets left", left)
			}
		}
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
		s.OnDisconnect(func(socketio.Reason) { saw <- "gone" })
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
		s.OnDisconnect(func(socketio.Reason) { saw <- "gone" })
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
	t.Parallel()
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

// A handler that blocks keeps no room alive: neither lists nor other nodes' publishes wait for it.
func TestDisconnect_RoomsEndWithTheClientNotWithItsHandlers(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	proceed, during := make(chan struct{}), make(chan []string, 2)
	left := make(chan string, 8)
	n.OnRoom(func(e socketio.RoomEvent) {
		if e.Change == socketio.RoomDeleted {
			left <- e.Room
		}
	})
	n.OnConnect(func(s *socketio.Socket) {
		_ = s.Join("r")
		s.On("block", func(a socketio.Ack) {
			<-proceed
			during <- s.Rooms(nil)
			if err := s.Join("later"); !errors.Is(err, socketio.ErrDisconnected) {
				t.Error("a socket that has gone joins:", err)
			}
		})
		s.OnDisconnecting(func(socketio.Reason) { during <- s.Rooms(nil) })
	})
	p, id := join(t, url)
	p.send(`42["block"]`)
	p.hangup()
	if a, b := receive(t, left), receive(t, left); a+b != id+"r" && a+b != "r"+id {
		t.Error("deleted:", a, b)
	}
	if names, err := n.AllRooms(within(t)); len(names) > 0 || err != nil {
		t.Errorf("rooms %q, %v", names, err)
	}
	close(proceed)
	for range 2 {
		if got := receive(t, during); !slices.Equal(got, []string{id, "r"}) {
			t.Errorf("the handlers see %q", got)
		}
	}
}

// runtime.Goexit, as t.FailNow calls it, ends what a panic ends, wherever the application calls it.
func TestGoexit_EndsOneConnectionAndNothingElse(t *testing.T) {
	t.Parallel()
	exit := func(...any) { runtime.Goexit() }
	for name, set := range map[string]func(*socketio.Server, *socketio.Socket){
		"event":         func(_ *socketio.Server, s *socketio.Socket) { s.On("go", func() { exit() }) },
		"listener":      func(_ *socketio.Server, s *socketio.Socket) { s.OnAny(func(socketio.Event) { exit() }) },
		"disconnecting": func(_ *socketio.Server, s *socketio.Socket) { s.OnDisconnecting(func(socketio.Reason) { exit() }) },
		"disconnect":    func(_ *socketio.Server, s *socketio.Socket) { s.OnDisconnect(func(socketio.Reason) { exit() }) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry := prometheus.NewRegistry()
			server, url := serve(t, socketio.Config{Registry: registry})
			gone := make(chan socketio.Reason, 1)
			server.Of("/").OnConnect(func(s *socketio.Socket) {
				set(server, s)
				s.OnDisconnect(func(r socketio.Reason) { gone <- r })
			})
			p, _ := join(t, url)
			p.send(`42["go"]`, `42["go"]`, `41`)
			receive(t, gone)
			server.Close() // waits for all that connections have started
			if got := server.Of("/").Sockets(); got != 0 {
				t.Errorf("%d sockets are left", got)
			}
		})
	}
}

func TestGoexit_OfAMiddlewareOrSetupRefuses(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	server.Of("/use").Use(func(context.Context, *socketio.Socket) error { runtime.Goexit(); return nil })
	server.OfFunc(func(nsp string) bool { return nsp == "/setup" }, func(*socketio.Namespace) { runtime.Goexit() })
	for _, nsp := range []string{"/use", "/setup"} {
		p := dial(t, url)
		p.send("40" + nsp)
		p.expect("closed")
	}
	server.Close()
	for _, n := range server.Namespaces() {
		if n.Name() == "/setup" {
			t.Error("/setup is left")
		}
	}
}

// Handlers of rooms and of other servers' events share a goroutine each: it must go on without the one that ended it.
func TestGoexit_OfARoomHandlerLosesNoOtherCall(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	n := server.Of("/")
	seen := make(chan string, 16)
	n.OnRoom(func(socketio.RoomEvent) { runtime.Goexit() })
	n.OnRoom(func(e socketio.RoomEvent) { seen <- e.Room })
	_, id := join(t, url)
	if a, b := receive(t, seen), receive(t, seen); a != id || b != id {
		t.Errorf("rooms %s, %s", a, b)
	}
}
