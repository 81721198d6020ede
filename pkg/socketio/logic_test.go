package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/carillon-io/carillon/pkg/socketio"
	"github.com/prometheus/client_golang/prometheus"
)

// logic is a Logic made of functions; those left out do nothing.
type logic struct {
	enter   func(context.Context) error
	entered func()
	handle  func(socketio.Event)
	leave   func(reason socketio.Reason)
}

func (l logic) Enter(ctx context.Context) error {
	if l.enter == nil {
		return nil
	}
	return l.enter(ctx)
}

func (l logic) Entered() {
	if l.entered != nil {
		l.entered()
	}
}

func (l logic) Handle(e socketio.Event) {
	if l.handle != nil {
		l.handle(e)
	}
}

func (l logic) Leave(reason socketio.Reason) {
	if l.leave != nil {
		l.leave(reason)
	}
}

// Whichever goroutine handles them, the events of a connection stay in order, and one is handled at a time.
func TestLogic_EventsStayInOrderWithWhatIsQueued(t *testing.T) {
	const events = 1000
	server, url := serve(t, socketio.Config{})
	got := make(chan string, 2*events)
	proceed := make(chan struct{})
	server.Of("/").SetLogic(func(*socketio.Socket, *socketio.Values) socketio.Logic {
		busy := false // the race detector tells when two handle at once
		return logic{
			entered: func() { <-proceed }, // meanwhile events queue up
			handle: func(e socketio.Event) {
				if busy {
					t.Error("two events at once")
				}
				busy = true
				runtime.Gosched()
				got <- string(e.Args.JSON)
				busy = false
			},
		}
	})
	p, _ := join(t, url)
	for n := range events {
		p.send(fmt.Sprintf(`42["n",%d]`, n))
		if n == events/4 {
			close(proceed)
		}
	}
	for n := range events {
		if have, want := receive(t, got), fmt.Sprintf("[%d]", n); have != want {
			t.Fatalf("got %s, want %s", have, want)
		}
	}
}

func TestLogic_MayEndItsSocketOrConnection(t *testing.T) {
	for name, end := range map[string]func(*socketio.Socket){
		"disconnect": (*socketio.Socket).Disconnect,
		"close":      (*socketio.Socket).CloseConnection,
		"panic":      func(*socketio.Socket) { panic("in a handler") },
		"goexit":     func(*socketio.Socket) { runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			server, url := serve(t, socketio.Config{})
			gone := make(chan socketio.Reason, 1)
			server.Of("/").SetLogic(func(s *socketio.Socket, _ *socketio.Values) socketio.Logic {
				return logic{
					handle: func(socketio.Event) { end(s) },
					leave:  func(reason socketio.Reason) { gone <- reason },
				}
			})
			p, _ := join(t, url)
			p.send(`42["end"]`)
			receive(t, gone)
		})
	}
}

func TestLogic_RefusesWithDataOrWithoutAnAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"a refusal with data": {
			&socketio.ConnectError{Message: "no", Data: map[string]string{"code": "denied"}},
			`44{"message":"no","data":{"code":"denied"}}`,
		},
		"any error": {errors.New("no"), `44{"message":"no"}`},
		"no answer": {socketio.ErrClose, "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			server, url := serve(t, socketio.Config{})
			server.Of("/").SetLogic(func(*socketio.Socket, *socketio.Values) socketio.Logic {
				return logic{
					enter: func(context.Context) error { return c.err },
					leave: func(socketio.Reason) { t.Error("a socket that did not enter leaves") },
				}
			})
			p := dial(t, url)
			p.send("40")
			p.expect(c.want)
		})
	}
}

// What logics share lives as long as the connection: a client that leaves and comes back finds it as it was.
func TestLogic_SharedValuesOutliveTheSocket(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	type count struct{ connects int }
	counts := make(chan int, 8)
	f := func(_ *socketio.Socket, shared *socketio.Values) socketio.Logic {
		return logic{enter: func(context.Context) error {
			c := socketio.Shared[count](shared)
			c.connects++
			counts <- c.connects
			return nil
		}}
	}
	server.Of("/a").SetLogic(f)
	server.Of("/b").SetLogic(f)
	p := dial(t, url)
	for want, nsp := range []string{"/a", "/b", "/a"} {
		p.connect(nsp)
		if got := receive(t, counts); got != want+1 {
			t.Errorf("CONNECT %d finds %d", want+1, got)
		}
		p.send("41" + nsp + ",")
	}
	other := dial(t, url)
	other.connect("/a")
	if got := receive(t, counts); got != 1 {
		t.Errorf("another connection finds %d", got)
	}
}

func TestSocketContext_EndsWithTheSocket(t *testing.T) {
	for name, end := range map[string]func(*peer, *socketio.Socket){
		"the client leaves":        func(p *peer, _ *socketio.Socket) { p.send("41") },
		"the connection ends":      func(p *peer, _ *socketio.Socket) { p.hangup() },
		"the server disconnects":   func(_ *peer, s *socketio.Socket) { s.Disconnect() },
		"nobody has looked before": func(_ *peer, s *socketio.Socket) { s.Disconnect() },
	} {
		t.Run(name, func(t *testing.T) {
			server, url := serve(t, socketio.Config{})
			connected := sockets(server.Of("/"))
			p, _ := join(t, url)
			s := receive(t, connected)
			if name != "nobody has looked before" {
				nothing(t, s.Context().Done())
			}
			if err := s.Context().Err(); err != nil {
				t.Error("ended before its socket:", err)
			}
			end(p, s)
			receive(t, s.Context().Done())
			if err := s.Context().Err(); !errors.Is(err, context.Canceled) {
				t.Error("ended with", err)
			}
		})
	}
}

func TestAck_SaysWhatBecameOfIt(t *testing.T) {
	server, url := serve(t, socketio.Config{})
	acks := make(chan socketio.Ack, 2)
	connected := sockets(server.Of("/"))
	server.Of("/").OnConnect(func(s *socketio.Socket) { s.On("e", func(a socketio.Ack) { acks <- a }) })
	p, _ := join(t, url)
	p.send(`420["e"]`, `421["e"]`)
	first, second := receive(t, acks), receive(t, acks)
	if err := first.Send(1); err != nil {
		t.Error("the first acknowledgement:", err)
	}
	if err := first.Send(2); !errors.Is(err, socketio.ErrAcknowledged) {
		t.Error("the second of one event:", err)
	}
	receive(t, connected).Disconnect()
	if err := second.Send(3); !errors.Is(err, socketio.ErrDisconnected) {
		t.Error("after the end:", err)
	}
	p.expect("430[1]", "41")
}

// Whatever a client and the server do with a connection's sockets, and in whatever order: each that entered leaves once,
// events reach only those between, and nothing is left in the end.
func TestLogic_LivesModel(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 3))
		registry := prometheus.NewRegistry()
		server, url := serve(t, socketio.Config{ConnectRate: 1000, ConnectBurst: 1000, Registry: registry})
		names := []string{"/a", "/b", "/c"}
		var mu sync.Mutex
		stay := make(map[*socketio.Socket]int) // 1: entered, 2: has left
		entered, left := 0, 0
		for _, name := range names {
			refuse := rand.New(rand.NewPCG(seed, uint64(name[1]))) // used by one connection, so by one goroutine at a time
			server.Of(name).SetLogic(func(s *socketio.Socket, _ *socketio.Values) socketio.Logic {
				in := func(want, to int, what string) {
					mu.Lock()
					defer mu.Unlock()
					if stay[s] != want {
						t.Errorf("seed %d: %s at %d", seed, what, stay[s])
					}
					stay[s] = to
				}
				return logic{
					enter: func(context.Context) error {
						in(0, 0, "enters")
						_ = s.Join("r")
						if refuse.IntN(5) == 0 {
							return errors.New("no")
						}
						return nil
					},
					entered: func() { in(0, 1, "entered"); entered++ },
					handle: func(e socketio.Event) {
						in(1, 1, "handles")
						if e.Name == "bye" {
							s.Disconnect()
						}
						_ = e.Ack.Send()
					},
					leave: func(socketio.Reason) { in(1, 2, "leaves"); left++ },
				}
			})
		}
		p := dial(t, url)
		here := make(map[string]bool) // the client is in it, as far as it knows
		for range 60 {
			name := names[rng.IntN(len(names))]
			switch op := rng.IntN(6); {
			case !here[name]:
				p.send("40" + name + ",")
				for got := p.read(); ; got = p.read() { // past what is left of an earlier stay
					if in := strings.HasPrefix(got, "40"+name); in || strings.HasPrefix(got, "44"+name) {
						here[name] = in
						break
					}
				}
				if here[name] { // the answer may be read before the server knows that it is queued
					p.send("42" + name + `,1["e"]`)
					p.expect("43" + name + ",1[]")
				}
			case op == 0:
				p.send("41" + name + ",")
				here[name] = false
			case op == 1:
				p.send("42" + name + `,["bye"]`)
				p.expect("41" + name + ",")
				here[name] = false
			case op == 2:
				for _, s := range server.Of(name).LocalSockets() {
					s.DisconnectWith("thrown out")
					p.expect("41" + name + ",")
				}
				here[name] = false
			default:
				p.send("42" + name + `,1["e"]`)
				p.expect("43" + name + ",1[]")
			}
		}
		p.hangup()
		server.Close()
		if entered != left || entered == 0 {
			t.Errorf("seed %d: %d entered, %d left", seed, entered, left)
		}
		for _, name := range names {
			rooms, err := server.Of(name).AllRooms(within(t))
			if n := server.Of(name).Sockets(); n != 0 || len(rooms) != 0 || err != nil {
				t.Errorf("seed %d: %s is left with %d sockets, rooms %q, %v", seed, name, n, rooms, err)
			}
		}
		if got := value(t, registry, "carillon_rooms"); got != 0 {
			t.Errorf("seed %d: %v rooms", seed, got)
		}
	}
}
